#![no_main]
#![allow(clippy::unwrap_used, unreachable_pub, dead_code, reason = "each of these uses one target")]

mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::edit(bytes));
