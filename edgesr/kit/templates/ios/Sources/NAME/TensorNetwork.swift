// The model: (1,3,H,W) RGB in [0,1] in, (1,3,sH,sW) out, not clamped.

import CoreML
import Foundation

/// Runs the model on one tile.
struct Network {
    let model: MLModel

    /// The tile, enlarged by the model, clamped and rounded; alpha is 255.
    func run(_ tile: Raster) throws -> Raster {
        let input = try MLFeatureValue(multiArray: array(of: tile))
        let features = try MLDictionaryFeatureProvider(dictionary: [Configuration.inputName: input])
        let result = try model.prediction(from: features)
        guard let output = result.featureValue(for: Configuration.outputName)?.multiArrayValue else {
            throw UpscalerError.unexpectedOutput
        }
        return try raster(of: output, width: Configuration.scale * tile.width, height: Configuration.scale * tile.height)
    }
}

private func array(of tile: Raster) throws -> MLMultiArray {
    let shape: [NSNumber] = [1, 3, NSNumber(value: tile.height), NSNumber(value: tile.width)]
    let array = try MLMultiArray(shape: shape, dataType: .float32)
    let values = array.dataPointer.assumingMemoryBound(to: Float.self)
    let strides = array.strides.map { $0.intValue }
    for channel in 0..<3 {
        for y in 0..<tile.height {
            for x in 0..<tile.width {
                let value = Float(tile.samples[4 * (y * tile.width + x) + channel]) / 255
                values[channel * strides[1] + y * strides[2] + x * strides[3]] = value
            }
        }
    }
    return array
}

/// The samples of the model's result, which has to be of this size and hold numbers only.
private func raster(of array: MLMultiArray, width: Int, height: Int) throws -> Raster {
    guard array.dataType == .float32, array.shape.map({ $0.intValue }) == [1, 3, height, width] else {
        throw UpscalerError.unexpectedOutput
    }
    let values = array.dataPointer.assumingMemoryBound(to: Float.self)
    let strides = array.strides.map { $0.intValue }
    var result = Raster(width: width, height: height)
    for channel in 0..<3 {
        for y in 0..<height {
            for x in 0..<width {
                let value = values[channel * strides[1] + y * strides[2] + x * strides[3]]
                guard value.isFinite else {
                    throw UpscalerError.unexpectedOutput
                }
                result.samples[4 * (y * width + x) + channel] = sample(of: value)
            }
        }
    }
    return result
}
