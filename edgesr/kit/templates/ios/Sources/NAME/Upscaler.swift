// The one class that an app uses.

import CoreGraphics
import CoreML
import CoreVideo
import Foundation

/// Why a picture could not be upscaled.
public enum UpscalerError: Error, Equatable {
    /// The package holds no model: its resources were left out of the app.
    case missingModel
    /// A picture, or a pixel buffer, of a kind that is not read.
    case unreadablePicture
    /// The result would have this many pixels, more than `Upscaler.largestResult`.
    case tooLarge(pixels: Int)
    /// The model gave something else than it was made for.
    case unexpectedOutput
    /// There is no memory for the picture.
    case noMemory
}

/// Enlarges pictures of any size by `Upscaler.scale`.
///
/// Make one and keep it: loading the model takes long. It is slow and blocks, so call it away from the main thread, and from one
/// thread at a time; an actor that owns it does both.
public final class Upscaler {
    /// How many times wider and higher pictures become.
    public static let scale = Configuration.scale

    /// Results of more pixels than this are refused instead of running out of memory; a result takes 4 bytes a pixel, and twice
    /// that for a moment. Set it as your devices allow.
    public var largestResult = 64_000_000

    private let network: Network
    private let taken: [Sizes]
    private let beyond: Tiling

    /// Load the model of this package.
    ///
    /// - Parameter computeUnits: where Core ML may run it.
    public convenience init(computeUnits: MLComputeUnits = .all) throws {
        try self.init(computeUnits: computeUnits, taken: Configuration.sizes, beyond: Configuration.tiling)
    }

    /// For pictures that are run whole at the sizes `taken`, and cut as `beyond` says at others.
    init(computeUnits: MLComputeUnits, taken: [Sizes], beyond: Tiling) throws {
        network = try Network(model: loadModel(computeUnits: computeUnits))
        self.taken = taken
        self.beyond = beyond
    }

    /// The picture, `scale` times as wide and high.
    ///
    /// An RGB picture keeps its colour space, any other becomes sRGB; grey stays grey. Samples have 8 bits. The network makes the
    /// colours, those of transparent pixels too; alpha is enlarged bicubically. A CGImage knows no orientation: turn it upright
    /// before, or keep its orientation for the result.
    ///
    /// - Parameter progress: is told how many tiles are done, and of how many.
    public func upscale(
        _ image: CGImage,
        progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) throws -> CGImage {
        let pixels = Upscaler.scale * Upscaler.scale * image.width * image.height
        guard pixels <= largestResult else {
            throw UpscalerError.tooLarge(pixels: pixels)
        }
        let kind = try PictureKind(of: image)
        let source = try Raster(image, kind: kind)
        let tiling = plan(height: source.height, width: source.width, taken: taken, beyond: beyond)
        var result = try runInTiles(source, tiling: tiling, progress: progress, network: network.run)
        if kind.isGrey {
            makeGrey(&result)
        }
        if kind.hasAlpha {
            enlargeAlpha(of: source, into: &result, scale: Upscaler.scale)
        }
        return try result.image(kind: kind)
    }

    /// The picture in a pixel buffer, such as a camera's, `scale` times as wide and high.
    public func upscale(
        _ pixelBuffer: CVPixelBuffer,
        progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) throws -> CGImage {
        return try upscale(picture(in: pixelBuffer), progress: progress)
    }
}
