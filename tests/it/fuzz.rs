//! Does what a fuzzer once found stay mended, and what is near it? `make fuzz` looks for more.

use std::path::Path;

use super::fuzz_targets::TARGETS;

/// Numbers that look like chance and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(most.max(1)).unwrap()).unwrap()
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// One input with a piece of another in it, or without a piece of its own, or with a piece twice.
fn near(inputs: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut made = inputs[dice.below(inputs.len())].clone();
    for _ in 0..=dice.below(3) {
        let piece = |from: &[u8], dice: &mut Dice| {
            let start = dice.below(from.len());
            start..(start + 1 + dice.below(12)).min(from.len())
        };
        let at = dice.below(made.len());
        match dice.below(4) {
            0 => {
                let other = &inputs[dice.below(inputs.len())];
                let piece = other[piece(other, dice)].to_vec();
                made.splice(at..at, piece);
            }
            1 => drop(made.drain(piece(&made, dice))),
            2 => {
                let piece = made[piece(&made, dice)].to_vec();
                made.splice(at..at, piece);
            }
            _ => {
                let byte = u8::try_from(dice.below(256)).unwrap();
                made.splice(at..at, [byte]);
            }
        }
    }
    made
}

#[test]
fn what_the_fuzzer_found_stays_mended() {
    for (name, target) in TARGETS {
        let inputs = corpus(name);
        assert!(inputs.len() > 3, "{name}");
        inputs.iter().for_each(|input| target(input));
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        for _ in 0..1_500 {
            target(&near(&inputs, &mut dice));
        }
    }
}
