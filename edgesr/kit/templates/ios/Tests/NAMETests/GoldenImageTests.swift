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
        let upscaler = try Upscaler(computeUnits: .cpuOnly, tileWidth: golden.width, tileHeight: golden.height)
        let result = try upscaler.upscale(source)
        XCTAssertEqual(result.width, Upscaler.scale * source.width)
        XCTAssertEqual(result.height, Upscaler.scale * source.height)
        XCTAssertLessThanOrEqual(try meanSquare(result, expected), golden.meanSquare)
    }

    func testPictureOfAnotherSizeIsTaken() throws {
        let source = try readPicture("golden-input")
        let part = try XCTUnwrap(source.cropping(to: CGRect(x: 0, y: 0, width: 33, height: 21)))
        let result = try Upscaler(computeUnits: .cpuOnly).upscale(part)
        XCTAssertEqual(result.width, 33 * Upscaler.scale)
        XCTAssertEqual(result.height, 21 * Upscaler.scale)
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
