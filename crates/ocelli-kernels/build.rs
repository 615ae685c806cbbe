//! Tells the crate which instruction sets the target triple has: assembly is compiled only for them.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = std::env::var("TARGET").unwrap_or_default();
    let sets: [(&str, &[&str]); 5] = [
        // Cortex-M0, M0+, M1.
        ("armv6m", &["thumbv6m-"]),
        // Cortex-M3.
        ("armv7m", &["thumbv7m-"]),
        // The DSP extension: Cortex-M4, M7; M33, M55 and M85 as they are commonly made.
        ("dsp", &["thumbv7em-", "thumbv8m.main-"]),
        // The M-profile vector extension: only called for models that are packed for it.
        ("helium", &["thumbv8m.main-"]),
        // RISC-V with the M extension.
        ("rv32", &["riscv32im", "riscv32gc"]),
    ];
    println!("cargo::rustc-check-cfg=cfg(ocelli_fpu)");
    if target.starts_with("thumb") && target.ends_with("hf") {
        println!("cargo::rustc-cfg=ocelli_fpu");
    }
    for (name, prefixes) in sets {
        println!("cargo::rustc-check-cfg=cfg(ocelli_{name})");
        if prefixes.iter().any(|prefix| target.starts_with(prefix)) {
            println!("cargo::rustc-cfg=ocelli_{name}");
        }
    }
}
