// The arithmetic against the vectors, without a model.

import XCTest

@testable import @@NAME@@

final class ArithmeticTests: XCTestCase {
    func testSpans() throws {
        for vector in try Vectors.read().spans {
            let made = spans(
                along: vector.length, least: vector.least, most: vector.most, tile: vector.tile, overlap: vector.overlap)
            XCTAssertEqual(made.map { $0.start }, vector.starts, "length \(vector.length), at most \(vector.most)")
            XCTAssertEqual(made.map { $0.stop }, vector.stops)
            XCTAssertEqual(made.map { $0.keepStart }, vector.keepStarts)
            XCTAssertEqual(made.map { $0.keepStop }, vector.keepStops)
        }
    }

    func testPlans() throws {
        for vector in try Vectors.read().plans {
            let taken = vector.taken.map { sizes(from: [$0[0], $0[1]], to: [$0[2], $0[3]]) }
            let beyond = Tiling(sizes: taken[0], tile: 7, overlap: 3, scale: 2)
            let made = plan(height: vector.height, width: vector.width, taken: taken, beyond: beyond)
            let size = [vector.height, vector.width]
            let whole = Tiling(sizes: sizes(from: size, to: size), tile: 1, overlap: 0, scale: 2)
            XCTAssertEqual(made, vector.isWhole ? whole : beyond, "\(vector.height)×\(vector.width) of \(vector.taken)")
        }
    }

    func testReflections() throws {
        for vector in try Vectors.read().reflections {
            let places = (0..<vector.places.count).map { reflected($0, count: vector.count) }
            XCTAssertEqual(places, vector.places, "of \(vector.count)")
        }
    }

    func testSamples() throws {
        for vector in try Vectors.read().samples {
            XCTAssertEqual(sample(of: Float(vector.value)), vector.sample, "of \(vector.value)")
        }
    }

    func testLumas() throws {
        for vector in try Vectors.read().lumas {
            XCTAssertEqual(luma(red: vector.red, green: vector.green, blue: vector.blue), vector.luma)
        }
    }

    func testAlphas() throws {
        for vector in try Vectors.read().alphas {
            var picture = Raster(width: vector.width, height: vector.height)
            for pixel in 0..<vector.alpha.count {
                picture.samples[4 * pixel + 3] = vector.alpha[pixel]
            }
            var result = Raster(width: vector.scale * vector.width, height: vector.scale * vector.height)
            enlargeAlpha(of: picture, into: &result, scale: vector.scale)
            let enlarged = (0..<vector.enlarged.count).map { result.samples[4 * $0 + 3] }
            XCTAssertEqual(enlarged, vector.enlarged, "\(vector.width)×\(vector.height), ×\(vector.scale)")
        }
    }

    func testMosaics() throws {
        for vector in try Vectors.read().mosaics {
            let tiling = Tiling(
                sizes: sizes(from: vector.minimum, to: vector.maximum),
                tile: vector.tile,
                overlap: vector.overlap,
                scale: vector.scale)
            let picture = Raster(width: vector.width, height: vector.height, colours: vector.samples)
            var told: [Int] = []
            let result = runInTiles(
                picture,
                tiling: tiling,
                progress: { done, _ in told.append(done) },
                network: { planted($0, scale: vector.scale) })
            let expected = Raster(
                width: vector.scale * vector.width, height: vector.scale * vector.height, colours: vector.result)
            XCTAssertEqual(result, expected, "\(vector.width)×\(vector.height)")
            XCTAssertEqual(told, Array(0..<told.count))
        }
    }
}

/// From one height and width to another.
func sizes(from least: [Int], to most: [Int]) -> Sizes {
    return Sizes(leastHeight: least[0], leastWidth: least[1], mostHeight: most[0], mostWidth: most[1])
}

/// A network whose result depends on the place in the tile and on the whole tile, so that every wrong pixel shows: output pixel
/// (x, y) of a tile is the input pixel below it, plus the one opposite of that in the tile, plus 3x + 5y, modulo 256.
func planted(_ tile: Raster, scale: Int) -> Raster {
    var result = Raster(width: scale * tile.width, height: scale * tile.height)
    for y in 0..<result.height {
        for x in 0..<result.width {
            let below = y / scale * tile.width + x / scale
            let opposite = tile.width * tile.height - 1 - below
            for channel in 0..<3 {
                let source = Int(tile.samples[4 * below + channel]) + Int(tile.samples[4 * opposite + channel])
                result.samples[4 * (y * result.width + x) + channel] = UInt8((source + 3 * x + 5 * y) % 256)
            }
        }
    }
    return result
}

extension Raster {
    /// Opaque, of red, green and blue for each pixel.
    init(width: Int, height: Int, colours: [UInt8]) {
        self.init(width: width, height: height)
        for pixel in 0..<width * height {
            for channel in 0..<3 {
                samples[4 * pixel + channel] = colours[3 * pixel + channel]
            }
        }
    }
}
