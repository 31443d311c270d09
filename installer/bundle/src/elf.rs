//! The processor that an executable is for.

use slipway_api::Architecture;

/// The number of bytes that [`elf_architecture`] needs.
pub(crate) const ELF_HEADER: usize = 20;

/// Returns the architecture in the ELF header `header`.
///
/// Source: System V ABI, ELF header: `e_ident`, then `e_machine` at byte 18; `EM_X86_64` is 62,
/// `EM_AARCH64` 183.
pub(crate) fn elf_architecture(header: &[u8]) -> Option<Architecture> {
    let is_64_bit_little_endian = header.starts_with(b"\x7fELF\x02\x01");
    match (is_64_bit_little_endian, header.get(18..ELF_HEADER)?) {
        (true, [62, 0]) => Some(Architecture::Amd64),
        (true, [183, 0]) => Some(Architecture::Arm64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_64_bit_executables_of_known_processors_have_an_architecture() {
        let mut header = *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0";
        assert_eq!(elf_architecture(&header), Some(Architecture::Amd64));
        header[18] = 183;
        assert_eq!(elf_architecture(&header), Some(Architecture::Arm64));
        header[4] = 1;
        assert_eq!(elf_architecture(&header), None);
        assert_eq!(elf_architecture(b"#!/bin/sh"), None);
    }
}
