// What edgesr's own Python code gives, to compare with.

import Foundation

struct Vectors: Decodable {
    let spans: [SpanVector]
    let plans: [PlanVector]
    let reflections: [ReflectionVector]
    let samples: [SampleVector]
    let lumas: [LumaVector]
    let alphas: [AlphaVector]
    let mosaics: [MosaicVector]
    let golden: GoldenVector

    static func read() throws -> Vectors {
        return try JSONDecoder().decode(Vectors.self, from: Data(contentsOf: resource("vectors", "json")))
    }
}

struct SpanVector: Decodable {
    let length: Int
    let least: Int
    let most: Int
    let tile: Int
    let overlap: Int
    let starts: [Int]
    let stops: [Int]
    let keepStarts: [Int]
    let keepStops: [Int]
}

/// Whether a model that takes these sizes (the least height and width, the most) runs a picture whole.
struct PlanVector: Decodable {
    let height: Int
    let width: Int
    let taken: [[Int]]
    let isWhole: Bool
}

/// The pixels that stand for pixels 0, 1, 2 … of an axis of `count`.
struct ReflectionVector: Decodable {
    let count: Int
    let places: [Int]
}

struct SampleVector: Decodable {
    let value: Double
    let sample: UInt8
}

struct LumaVector: Decodable {
    let red: UInt8
    let green: UInt8
    let blue: UInt8
    let luma: UInt8
}

struct AlphaVector: Decodable {
    let width: Int
    let height: Int
    let scale: Int
    let alpha: [UInt8]
    let enlarged: [UInt8]
}

/// A picture (red, green, blue for each pixel) through the planted network in tiles from the minimum to the maximum (height,
/// width), and what has to come out.
struct MosaicVector: Decodable {
    let width: Int
    let height: Int
    let minimum: [Int]
    let maximum: [Int]
    let tile: Int
    let overlap: Int
    let scale: Int
    let samples: [UInt8]
    let result: [UInt8]
}

struct GoldenVector: Decodable {
    let width: Int
    let height: Int
    /// The largest mean square difference of samples from 0 to 255.
    let meanSquare: Double
}

struct MissingResource: Error {
    let name: String
}

func resource(_ name: String, _ suffix: String) throws -> URL {
    guard let url = Bundle.module.url(forResource: name, withExtension: suffix) else {
        throw MissingResource(name: "\(name).\(suffix)")
    }
    return url
}
