// From the network's numbers to 8-bit samples, grey, and the enlarging of alpha. Plain Swift without any framework.

/// A value in [0,1] -> the nearest of 0 to 255, halves up; values outside are clamped. The value is a number.
func sample(of value: Float) -> UInt8 {
    let clamped = min(max(value, 0), 1)
    return UInt8((clamped * 255 + 0.5).rounded(.down))
}

/// The luma of BT.601, as which a grey picture comes back from a network of colours.
func luma(red: UInt8, green: UInt8, blue: UInt8) -> UInt8 {
    return UInt8((299 * Int(red) + 587 * Int(green) + 114 * Int(blue) + 500) / 1000)
}

/// Give every pixel the luma of its colour.
func makeGrey(_ picture: inout Raster) {
    for pixel in 0..<picture.width * picture.height {
        let place = 4 * pixel
        let grey = luma(
            red: picture.samples[place], green: picture.samples[place + 1], blue: picture.samples[place + 2])
        for channel in 0..<3 {
            picture.samples[place + channel] = grey
        }
    }
}

/// Keys' cubic kernel with a = -0.5, zero from distance 2 on.
func cubic(_ distance: Double) -> Double {
    let x = abs(distance)
    if x <= 1 {
        return (1.5 * x - 2.5) * x * x + 1
    }
    if x <= 2 {
        return ((-0.5 * x + 2.5) * x - 4) * x + 2
    }
    return 0
}

/// One enlarged pixel along an axis: the four pixels that it is made of, and how much of each.
struct Taps {
    let places: [Int]
    let weights: [Double]
}

/// The taps of each of the `scale * count` pixels of an axis enlarged bicubically as MATLAB's `imresize` does it: pixel i covers
/// [i, i + 1], and the axis is continued by reflection with the edge pixel repeated.
func taps(count: Int, scale: Int) -> [Taps] {
    var result: [Taps] = []
    for target in 0..<count * scale {
        let centre = (Double(target) + 0.5) / Double(scale) - 0.5
        let first = Int(centre.rounded(.down)) - 1
        var places: [Int] = []
        var weights: [Double] = []
        for tap in first...first + 3 {
            var place = ((tap % (2 * count)) + 2 * count) % (2 * count)
            if place >= count {
                place = 2 * count - 1 - place
            }
            places.append(place)
            weights.append(cubic(centre - Double(tap)))
        }
        let total = weights[0] + weights[1] + weights[2] + weights[3]
        for tap in 0..<4 {
            weights[tap] /= total
        }
        result.append(Taps(places: places, weights: weights))
    }
    return result
}

/// Put the alpha of `picture`, enlarged bicubically, into `result`, which is `scale` times as wide and high.
func enlargeAlpha(of picture: Raster, into result: inout Raster, scale: Int) {
    let columns = taps(count: picture.width, scale: scale)
    let rows = taps(count: picture.height, scale: scale)
    for y in 0..<rows.count {
        var line = [Double](repeating: 0, count: picture.width)
        for x in 0..<picture.width {
            for tap in 0..<4 {
                let alpha = picture.samples[4 * (rows[y].places[tap] * picture.width + x) + 3]
                line[x] += rows[y].weights[tap] * Double(Float(alpha) / 255)
            }
        }
        for x in 0..<columns.count {
            var value = 0.0
            for tap in 0..<4 {
                value += columns[x].weights[tap] * line[columns[x].places[tap]]
            }
            result.samples[4 * (y * result.width + x) + 3] = sample(of: Float(value))
        }
    }
}
