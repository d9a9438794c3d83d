// swift-tools-version:5.9

import PackageDescription

let package = Package(
    name: "@@NAME@@",
    platforms: [.iOS("@@IOS@@"), .macOS("@@MACOS@@")],
    products: [
        .library(name: "@@NAME@@", targets: ["@@NAME@@"])
    ],
    targets: [
        .target(
            name: "@@NAME@@",
            resources: [.copy("Resources/@@MODEL_NAME@@.mlpackage")]
        ),
        .testTarget(
            name: "@@NAME@@Tests",
            dependencies: ["@@NAME@@"],
            resources: [
                .copy("Resources/vectors.json"),
                .copy("Resources/golden-input.png"),
                .copy("Resources/golden-output.png"),
            ]
        ),
    ]
)
