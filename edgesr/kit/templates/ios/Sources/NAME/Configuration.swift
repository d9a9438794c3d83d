// What the export's manifest says of the model.

enum Configuration {
    /// The model's file in this package's resources, without its suffix.
    static let modelName = "@@MODEL_NAME@@"
    /// Of the model's files.
    static let modelHash = "@@MODEL_HASH@@"
    static let inputName = "@@INPUT@@"
    static let outputName = "@@OUTPUT@@"
    static let scale = @@SCALE@@
    /// The size that the model is run at, in input pixels, margins included.
    static let tileWidth = @@TILE_WIDTH@@
    static let tileHeight = @@TILE_HEIGHT@@
    /// The margin on each side of a tile, in input pixels.
    static let overlap = @@OVERLAP@@
}
