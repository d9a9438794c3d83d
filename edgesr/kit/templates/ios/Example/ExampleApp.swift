import ImageIO
import SwiftUI
import UniformTypeIdentifiers
import @@NAME@@

@main
struct ExampleApp: App {
    var body: some Scene {
        WindowGroup {
            ContentView()
        }
    }
}

/// Owns the model: loads it once, and works away from the main thread on one picture at a time.
actor Worker {
    private var upscaler: Upscaler?

    func upscale(_ image: CGImage) throws -> CGImage {
        let ready = try upscaler ?? Upscaler()
        upscaler = ready
        return try ready.upscale(image)
    }
}

struct ContentView: View {
    @State private var isChoosing = false
    @State private var isWorking = false
    @State private var before: CGImage?
    @State private var after: CGImage?
    @State private var message = "Choose a picture, at first a small one."
    @State private var worker = Worker()

    var body: some View {
        VStack(spacing: 16) {
            if let before = before, let after = after {
                BeforeAfterView(before: before, after: after)
            }
            Text(message)
            if isWorking {
                ProgressView()
            }
            Button("Choose a picture") {
                isChoosing = true
            }
            .disabled(isWorking)
        }
        .padding()
        .fileImporter(isPresented: $isChoosing, allowedContentTypes: [.image]) { choice in
            switch choice {
            case .success(let url):
                Task {
                    await show(url)
                }
            case .failure(let error):
                message = error.localizedDescription
            }
        }
    }

    @MainActor
    private func show(_ url: URL) async {
        guard let image = uprightPicture(at: url) else {
            message = "This file holds no picture that can be read."
            return
        }
        isWorking = true
        message = "Working…"
        do {
            after = try await worker.upscale(image)
            before = image
            message = "\(image.width) × \(image.height), enlarged \(Upscaler.scale) times"
        } catch {
            message = "It did not work: \(error)"
        }
        isWorking = false
    }
}

/// The picture in a file, turned as its orientation says.
private func uprightPicture(at url: URL) -> CGImage? {
    let isScoped = url.startAccessingSecurityScopedResource()
    defer {
        if isScoped {
            url.stopAccessingSecurityScopedResource()
        }
    }
    guard let source = CGImageSourceCreateWithURL(url as CFURL, nil) else {
        return nil
    }
    let options: [CFString: Any] = [
        kCGImageSourceCreateThumbnailFromImageAlways: true,
        kCGImageSourceCreateThumbnailWithTransform: true,
    ]
    return CGImageSourceCreateThumbnailAtIndex(source, 0, options as CFDictionary)
}
