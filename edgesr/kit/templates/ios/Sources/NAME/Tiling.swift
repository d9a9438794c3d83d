// How a picture is cut into tiles of one size and put together again. Plain Swift without any framework.
//
// Each tile is run with a margin around it, and only its inside is kept. Tiles start at multiples of the window less its two
// margins; the last one is moved back so that it ends with the picture.

/// One tile along one axis, in input pixels: the network reads `window` pixels from `start` on, and of these the ones from
/// `keepStart` up to, but not including, `keepStop` are kept.
struct Span: Equatable {
    let start: Int
    let keepStart: Int
    let keepStop: Int
}

/// The tiles along an axis of `length` pixels, 1 or more. `window` is larger than `2 * overlap`.
func spans(along length: Int, window: Int, overlap: Int) -> [Span] {
    var starts = [0]
    if length > window {
        let step = window - 2 * overlap
        var next = step
        while next < length - 2 * overlap {
            starts.append(next)
            next += step
        }
        starts[starts.count - 1] = length - window
    }
    var result: [Span] = []
    var keepStart = 0
    for index in 0..<starts.count {
        var keepStop = length
        if index + 1 < starts.count {
            keepStop = (starts[index + 1] + starts[index] + window) / 2
        }
        result.append(Span(start: starts[index], keepStart: keepStart, keepStop: keepStop))
        keepStart = keepStop
    }
    return result
}

/// The pixel that stands for pixel `index`, 0 or more, on an axis of `count` pixels which is continued by reflection; the edge
/// pixel is not repeated.
func reflected(_ index: Int, count: Int) -> Int {
    if count == 1 {
        return 0
    }
    let place = index % (2 * (count - 1))
    if place < count {
        return place
    }
    return 2 * (count - 1) - place
}

/// A picture of `width * height` pixels of 4 samples (red, green, blue, alpha), row by row; alpha is not multiplied in.
struct Raster: Equatable {
    let width: Int
    let height: Int
    var samples: [UInt8]

    init(width: Int, height: Int) {
        self.init(width: width, height: height, samples: [UInt8](repeating: 255, count: 4 * width * height))
    }

    init(width: Int, height: Int, samples: [UInt8]) {
        self.width = width
        self.height = height
        self.samples = samples
    }
}

/// The size of a tile with its margins, and the margin on each side, in input pixels; how many times larger the network makes it.
struct Tiling {
    let width: Int
    let height: Int
    let overlap: Int
    let scale: Int
}

/// The part of `picture` that the network reads for one tile. A picture smaller than that is continued by reflection to the right
/// and below.
func cut(_ picture: Raster, row: Span, column: Span, tiling: Tiling) -> Raster {
    var tile = Raster(width: tiling.width, height: tiling.height)
    for y in 0..<tiling.height {
        let sourceRow = reflected(row.start + y, count: picture.height) * picture.width
        for x in 0..<tiling.width {
            let source = 4 * (sourceRow + reflected(column.start + x, count: picture.width))
            let target = 4 * (y * tiling.width + x)
            for channel in 0..<3 {
                tile.samples[target + channel] = picture.samples[source + channel]
            }
        }
    }
    return tile
}

/// Copy the part of a tile's result that is kept to its place in the whole result.
func paste(_ output: Raster, into result: inout Raster, row: Span, column: Span, scale: Int) {
    let count = 4 * scale * (column.keepStop - column.keepStart)
    for y in scale * row.keepStart..<scale * row.keepStop {
        let source = 4 * ((y - scale * row.start) * output.width + scale * (column.keepStart - column.start))
        let target = 4 * (y * result.width + scale * column.keepStart)
        for offset in 0..<count {
            result.samples[target + offset] = output.samples[source + offset]
        }
    }
}

/// Run the network on every tile and put the results together: `scale` times as wide and high, opaque.
func runInTiles(
    _ picture: Raster,
    tiling: Tiling,
    progress: (_ done: Int, _ total: Int) -> Void,
    network: (Raster) throws -> Raster
) rethrows -> Raster {
    let rows = spans(along: picture.height, window: tiling.height, overlap: tiling.overlap)
    let columns = spans(along: picture.width, window: tiling.width, overlap: tiling.overlap)
    var result = Raster(width: tiling.scale * picture.width, height: tiling.scale * picture.height)
    var done = 0
    for row in rows {
        for column in columns {
            progress(done, rows.count * columns.count)
            let output = try network(cut(picture, row: row, column: column, tiling: tiling))
            paste(output, into: &result, row: row, column: column, scale: tiling.scale)
            done += 1
        }
    }
    progress(done, done)
    return result
}
