// As reads.c.
use std::fs::File;
use std::io::Read;
use std::time::Duration;

#[inline(never)]
fn often(zero: &mut File) -> usize {
    let mut byte = [0u8; 1];
    zero.read(&mut byte).unwrap() + 1
}

#[inline(never)]
fn sometimes(zero: &mut File) -> usize {
    let mut byte = [0u8; 1];
    zero.read(&mut byte).unwrap() + 2
}

#[inline(never)]
fn seldom(zero: &mut File) -> usize {
    let mut byte = [0u8; 1];
    zero.read(&mut byte).unwrap() + 3
}

fn main() {
    let turns: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let mut zero = File::open("/dev/zero").unwrap();
    let mut sum = 0;
    for turn in 0..turns {
        for _ in 0..6 {
            sum += often(&mut zero);
        }
        for _ in 0..3 {
            sum += sometimes(&mut zero);
        }
        sum += seldom(&mut zero);
        if turn % 100 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    std::thread::sleep(Duration::from_secs(1));
    assert!(sum > 0);
}
