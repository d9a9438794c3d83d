// The model: an RGB picture in, an RGB picture out.

import CoreML
import CoreVideo
import Foundation

/// Runs the model on one tile.
struct Network {
    let model: MLModel

    /// The tile, enlarged by the model; alpha is 255.
    func run(_ tile: Raster) throws -> Raster {
        let input = try MLFeatureValue(pixelBuffer: pixelBuffer(of: tile))
        let features = try MLDictionaryFeatureProvider(dictionary: [Configuration.inputName: input])
        let result = try model.prediction(from: features)
        guard let output = result.featureValue(for: Configuration.outputName)?.imageBufferValue else {
            throw UpscalerError.unexpectedOutput
        }
        return try raster(of: output, width: Configuration.scale * tile.width, height: Configuration.scale * tile.height)
    }
}

/// The samples in the order that Core ML takes: blue, green, red, alpha.
private func pixelBuffer(of tile: Raster) throws -> CVPixelBuffer {
    var made: CVPixelBuffer?
    let attributes = [kCVPixelBufferIOSurfacePropertiesKey: [:] as CFDictionary] as CFDictionary
    let status = CVPixelBufferCreate(
        kCFAllocatorDefault, tile.width, tile.height, kCVPixelFormatType_32BGRA, attributes, &made)
    guard status == kCVReturnSuccess, let buffer = made else {
        throw UpscalerError.noMemory
    }
    CVPixelBufferLockBaseAddress(buffer, [])
    defer { CVPixelBufferUnlockBaseAddress(buffer, []) }
    guard let start = CVPixelBufferGetBaseAddress(buffer) else {
        throw UpscalerError.noMemory
    }
    let bytes = start.assumingMemoryBound(to: UInt8.self)
    let rowBytes = CVPixelBufferGetBytesPerRow(buffer)
    for y in 0..<tile.height {
        for x in 0..<tile.width {
            let source = 4 * (y * tile.width + x)
            let target = y * rowBytes + 4 * x
            bytes[target] = tile.samples[source + 2]
            bytes[target + 1] = tile.samples[source + 1]
            bytes[target + 2] = tile.samples[source]
            bytes[target + 3] = 255
        }
    }
    return buffer
}

/// The samples of the model's picture, which has to be of this size.
private func raster(of buffer: CVPixelBuffer, width: Int, height: Int) throws -> Raster {
    guard
        CVPixelBufferGetPixelFormatType(buffer) == kCVPixelFormatType_32BGRA,
        CVPixelBufferGetWidth(buffer) == width,
        CVPixelBufferGetHeight(buffer) == height
    else {
        throw UpscalerError.unexpectedOutput
    }
    CVPixelBufferLockBaseAddress(buffer, .readOnly)
    defer { CVPixelBufferUnlockBaseAddress(buffer, .readOnly) }
    guard let start = CVPixelBufferGetBaseAddress(buffer) else {
        throw UpscalerError.unexpectedOutput
    }
    let bytes = start.assumingMemoryBound(to: UInt8.self)
    let rowBytes = CVPixelBufferGetBytesPerRow(buffer)
    var result = Raster(width: width, height: height)
    for y in 0..<height {
        for x in 0..<width {
            let source = y * rowBytes + 4 * x
            let target = 4 * (y * width + x)
            result.samples[target] = bytes[source + 2]
            result.samples[target + 1] = bytes[source + 1]
            result.samples[target + 2] = bytes[source]
        }
    }
    return result
}
