//! Tells the compiler of `cfg(fuzzing)`, which builds of the fuzz targets set (`fuzz/`), so that it is not taken for a slip.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(fuzzing)");
    println!("cargo::rerun-if-changed=build.rs");
}
