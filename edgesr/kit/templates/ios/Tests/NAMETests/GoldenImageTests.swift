// A real picture through the model, against what the network's reference in PyTorch gave at the export.

import CoreGraphics
import CoreML
import ImageIO
import XCTest

@testable import @@NAME@@

final class GoldenImageTests: XCTestCase {
    func testPictureIsTheReferences() throws {
        let golden = try Vectors.read().golden
        let source = try readPicture("golden-input")
        let expected = try readPicture("golden-output")
        // The processor alone, which every Mac has and which gives the same each time.
        let whole = Sizes(
            leastHeight: golden.height, leastWidth: golden.width, mostHeight: golden.height, mostWidth: golden.width)
        let tiling = Tiling(sizes: whole, tile: 1, overlap: 0, scale: Upscaler.scale)
        let upscaler = try Upscaler(computeUnits: .cpuOnly, taken: [], beyond: tiling)
        let result = try upscaler.upscale(source)
        XCTAssertEqual(result.width, Upscaler.scale * source.width)
        XCTAssertEqual(result.height, Upscaler.scale * source.height)
        XCTAssertLessThanOrEqual(try meanSquare(result, expected), golden.meanSquare)
    }

    func testPictureOfAnotherSizeIsTaken() throws {
        let source = try readPicture("golden-input")
        let width = (2 * source.width + 2) / 3
        let height = (source.height + 1) / 2
        let part = try XCTUnwrap(source.cropping(to: CGRect(x: 0, y: 0, width: width, height: height)))
        let result = try Upscaler(computeUnits: .cpuOnly).upscale(part)
        XCTAssertEqual(result.width, width * Upscaler.scale)
        XCTAssertEqual(result.height, height * Upscaler.scale)
    }

    func testResultsThatAreTooLargeAreRefused() throws {
        let source = try readPicture("golden-input")
        let upscaler = try Upscaler(computeUnits: .cpuOnly)
        upscaler.largestResult = 1
        XCTAssertThrowsError(try upscaler.upscale(source)) { error in
            let pixels = Upscaler.scale * Upscaler.scale * source.width * source.height
            XCTAssertEqual(error as? UpscalerError, .tooLarge(pixels: pixels))
        }
    }
}

private func readPicture(_ name: String) throws -> CGImage {
    let place = try resource(name, "png")
    let source = try XCTUnwrap(CGImageSourceCreateWithURL(place as CFURL, nil))
    return try XCTUnwrap(CGImageSourceCreateImageAtIndex(source, 0, nil))
}

/// Of the colours of two pictures of one size.
private func meanSquare(_ one: CGImage, _ other: CGImage) throws -> Double {
    let first = try Raster(one, kind: PictureKind(of: one))
    let second = try Raster(other, kind: PictureKind(of: other))
    XCTAssertEqual(first.samples.count, second.samples.count)
    var total = 0.0
    for place in 0..<min(first.samples.count, second.samples.count) where place % 4 != 3 {
        let difference = Double(first.samples[place]) - Double(second.samples[place])
        total += difference * difference
    }
    return total / Double(3 * first.width * first.height)
}
