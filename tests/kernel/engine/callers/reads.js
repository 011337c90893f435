// As reads.c. V8 writes its perf map when 2 MiB of it are there: code is compiled until they are, then it says so and goes on
// when it is told to.
const fs = require("fs");
const zero = fs.openSync("/dev/zero");
const buffer = Buffer.alloc(1);
function often() { return fs.readSync(zero, buffer, 0, 1, null); }
function sometimes() { return fs.readSync(zero, buffer, 0, 1, null); }
function seldom() { return fs.readSync(zero, buffer, 0, 1, null); }
function turns(count, pause) {
  let sum = 0;
  for (let turn = 0; turn < count; turn++) {
    for (let i = 0; i < 6; i++) sum += often();
    for (let i = 0; i < 3; i++) sum += sometimes();
    sum += seldom();
    if (pause && turn % 100 == 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
  }
  return sum;
}
turns(20000, false);
const map = `/tmp/perf-${process.pid}.map`;
for (let i = 0; fs.statSync(map).size < 1 << 20; i++) new Function(`return function f${i}() { return ${i} }`)()();
console.log("ready");
fs.readSync(0, buffer, 0, 1, null);
turns(Number(process.argv[2]), true);
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
