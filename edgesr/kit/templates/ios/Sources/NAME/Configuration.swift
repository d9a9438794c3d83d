// What the export's manifest says of the model.

enum Configuration {
    /// The model's file in this package's resources, without its suffix.
    static let modelName = "@@MODEL_NAME@@"
    /// Of the names and contents of the model's files: the first 16 digits of a SHA-256.
    static let modelHash = "@@MODEL_HASH@@"
    static let inputName = "@@INPUT@@"
    static let outputName = "@@OUTPUT@@"
    static let scale = @@SCALE@@
    /// The sizes at which a picture is run whole.
    static let sizes = [
        @@SIZES@@
    ]
    /// How a picture of another size is cut.
    static let tiling = Tiling(
        sizes: @@TILES@@,
        tile: @@TILE@@, overlap: @@OVERLAP@@, scale: @@SCALE@@)
}
