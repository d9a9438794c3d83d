// Pictures of the platform to samples and back.

import Accelerate
import CoreGraphics
import CoreVideo
import Foundation
import VideoToolbox

/// What is kept of a CGImage besides its samples.
struct PictureKind {
    let colorSpace: CGColorSpace
    let hasAlpha: Bool
    let isGrey: Bool

    /// An RGB picture keeps its colour space, so that its samples are the stored ones; every other becomes sRGB.
    init(of image: CGImage) throws {
        switch image.alphaInfo {
        case .none, .noneSkipFirst, .noneSkipLast:
            hasAlpha = false
        default:
            hasAlpha = true
        }
        isGrey = image.colorSpace?.model == .monochrome
        if let own = image.colorSpace, own.model == .rgb {
            colorSpace = own
        } else if let standard = CGColorSpace(name: CGColorSpace.sRGB) {
            colorSpace = standard
        } else {
            throw UpscalerError.unreadablePicture
        }
    }

    /// Where alpha is, if there is any: last and not multiplied in.
    var bitmapInfo: CGBitmapInfo {
        let alpha: CGImageAlphaInfo = hasAlpha ? .last : .noneSkipLast
        return CGBitmapInfo(rawValue: alpha.rawValue)
    }
}

extension Raster {
    /// The samples of a picture, 8 bits each; deeper ones are rounded.
    init(_ image: CGImage, kind: PictureKind) throws {
        guard
            let format = vImage_CGImageFormat(
                bitsPerComponent: 8,
                bitsPerPixel: 32,
                colorSpace: kind.colorSpace,
                bitmapInfo: kind.bitmapInfo,
                renderingIntent: .defaultIntent)
        else {
            throw UpscalerError.unreadablePicture
        }
        let buffer = try vImage_Buffer(cgImage: image, format: format)
        defer { buffer.free() }
        self.init(width: image.width, height: image.height)
        guard let start = buffer.data else {
            throw UpscalerError.unreadablePicture
        }
        let bytes = start.assumingMemoryBound(to: UInt8.self)
        for y in 0..<height {
            for offset in 0..<4 * width {
                samples[4 * width * y + offset] = bytes[buffer.rowBytes * y + offset]
            }
        }
    }

    /// The picture of these samples.
    func image(kind: PictureKind) throws -> CGImage {
        guard
            let provider = CGDataProvider(data: Data(samples) as CFData),
            let image = CGImage(
                width: width,
                height: height,
                bitsPerComponent: 8,
                bitsPerPixel: 32,
                bytesPerRow: 4 * width,
                space: kind.colorSpace,
                bitmapInfo: kind.bitmapInfo,
                provider: provider,
                decode: nil,
                shouldInterpolate: true,
                intent: .defaultIntent)
        else {
            throw UpscalerError.noMemory
        }
        return image
    }
}

/// The picture in a pixel buffer of any format that VideoToolbox reads.
func picture(in pixelBuffer: CVPixelBuffer) throws -> CGImage {
    var image: CGImage?
    let status = VTCreateCGImageFromCVPixelBuffer(pixelBuffer, options: nil, imageOut: &image)
    guard status == 0, let made = image else {
        throw UpscalerError.unreadablePicture
    }
    return made
}
