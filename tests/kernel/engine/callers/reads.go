// As reads.c.
package main

import (
	"os"
	"strconv"
	"syscall"
	"time"
)

var buffer = make([]byte, 1)

//go:noinline
func often(zero int) int { n, _ := syscall.Read(zero, buffer); return n + 1 }

//go:noinline
func sometimes(zero int) int { n, _ := syscall.Read(zero, buffer); return n + 2 }

//go:noinline
func seldom(zero int) int { n, _ := syscall.Read(zero, buffer); return n + 3 }

func main() {
	turns, _ := strconv.Atoi(os.Args[1])
	zero, _ := syscall.Open("/dev/zero", syscall.O_RDONLY, 0)
	for turn := 0; turn < turns; turn++ {
		for i := 0; i < 6; i++ {
			often(zero)
		}
		for i := 0; i < 3; i++ {
			sometimes(zero)
		}
		seldom(zero)
		if turn%100 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	time.Sleep(time.Second)
}
