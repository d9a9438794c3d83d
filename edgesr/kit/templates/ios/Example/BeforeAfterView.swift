import SwiftUI

/// Two pictures of one shape over each other, and a slider for how much of each is seen.
struct BeforeAfterView: View {
    let before: CGImage
    let after: CGImage
    @State private var split: CGFloat = 0.5

    var body: some View {
        VStack {
            GeometryReader { area in
                ZStack(alignment: .leading) {
                    picture(after)
                    picture(before)
                        .mask(alignment: .leading) {
                            Rectangle().frame(width: area.size.width * split)
                        }
                    Rectangle()
                        .fill(Color.white)
                        .frame(width: 2)
                        .offset(x: area.size.width * split - 1)
                }
                .contentShape(Rectangle())
                .gesture(
                    DragGesture(minimumDistance: 0).onChanged { drag in
                        split = min(max(drag.location.x / area.size.width, 0), 1)
                    }
                )
            }
            .aspectRatio(CGFloat(after.width) / CGFloat(after.height), contentMode: .fit)
            Slider(value: $split, in: 0...1)
                .accessibilityLabel("Before and after")
        }
    }

    private func picture(_ image: CGImage) -> some View {
        Image(decorative: image, scale: 1).resizable()
    }
}
