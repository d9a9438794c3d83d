// How a picture is cut into tiles and put together again, as `edgesr upscale` does it. Plain Swift without any framework.
//
// Each tile is run with a margin around it, and only its inside is kept. Tiles start at multiples of the window less its two
// margins; the last one is what is left, moved back where that is less than the model takes.

/// One tile along one axis, in input pixels: the network reads the pixels from `start` up to, but not including, `stop`, and of
/// these the ones from `keepStart` up to `keepStop` are kept.
struct Span: Equatable {
    let start: Int
    let stop: Int
    let keepStart: Int
    let keepStop: Int
}

/// All sizes between a smallest and a largest height and width, in input pixels.
struct Sizes: Equatable {
    let leastHeight: Int
    let leastWidth: Int
    let mostHeight: Int
    let mostWidth: Int
}

/// Tiles of `tile` input pixels a side, each run with `overlap` more on every side where that is of these sizes; how many times
/// larger the network makes them.
struct Tiling: Equatable {
    let sizes: Sizes
    let tile: Int
    let overlap: Int
    let scale: Int
}

/// Pictures of more pixels are always cut.
let largestWhole = 1024 * 1024

/// How a picture is cut: into one tile of its own size where the model takes that, else as `beyond` says.
func plan(height: Int, width: Int, taken: [Sizes], beyond: Tiling) -> Tiling {
    if height * width <= largestWhole {
        for sizes in taken {
            if min(max(height, sizes.leastHeight), sizes.mostHeight) == height {
                if min(max(width, sizes.leastWidth), sizes.mostWidth) == width {
                    let whole = Sizes(leastHeight: height, leastWidth: width, mostHeight: height, mostWidth: width)
                    return Tiling(sizes: whole, tile: 1, overlap: 0, scale: beyond.scale)
                }
            }
        }
    }
    return beyond
}

/// The tiles along an axis of `length` pixels, 1 or more, each of at least `least` and at most `most` pixels with its margins, and
/// of more than these. Where `length` is below `least`, the one tile reaches beyond the picture.
func spans(along length: Int, least: Int, most: Int, tile: Int, overlap: Int) -> [Span] {
    let window = min(max(tile + 2 * overlap, least), most)
    var starts = [0]
    if length > window {
        let step = window - 2 * overlap
        var next = step
        while next < length - 2 * overlap {
            starts.append(next)
            next += step
        }
    }
    starts[starts.count - 1] = max(0, min(starts[starts.count - 1], length - least))
    var result: [Span] = []
    var keepStart = 0
    for index in 0..<starts.count {
        let stop = max(least, min(starts[index] + window, length))
        var keepStop = length
        if index + 1 < starts.count {
            keepStop = (starts[index + 1] + stop) / 2
        }
        result.append(Span(start: starts[index], stop: stop, keepStart: keepStart, keepStop: keepStop))
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

/// The part of `picture` that the network reads for one tile. A picture smaller than that is continued by reflection to the right
/// and below.
func cut(_ picture: Raster, row: Span, column: Span) -> Raster {
    var tile = Raster(width: column.stop - column.start, height: row.stop - row.start)
    for y in 0..<tile.height {
        let sourceRow = reflected(row.start + y, count: picture.height) * picture.width
        for x in 0..<tile.width {
            let source = 4 * (sourceRow + reflected(column.start + x, count: picture.width))
            let target = 4 * (y * tile.width + x)
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
    let sizes = tiling.sizes
    let rows = spans(
        along: picture.height, least: sizes.leastHeight, most: sizes.mostHeight, tile: tiling.tile, overlap: tiling.overlap)
    let columns = spans(
        along: picture.width, least: sizes.leastWidth, most: sizes.mostWidth, tile: tiling.tile, overlap: tiling.overlap)
    var result = Raster(width: tiling.scale * picture.width, height: tiling.scale * picture.height)
    var done = 0
    for row in rows {
        for column in columns {
            progress(done, rows.count * columns.count)
            let output = try network(cut(picture, row: row, column: column))
            paste(output, into: &result, row: row, column: column, scale: tiling.scale)
            done += 1
        }
    }
    progress(done, done)
    return result
}
