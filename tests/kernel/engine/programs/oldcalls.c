/* int 0x80 from a 64-bit program: the i386 table's numbers, whose x86-64 namesakes are others. */
#include "counted.h"
#include <sys/mman.h>

int main(void) {
  for (int i = 0; i < 50; i++) old_call(20, 0, 0, 0, 0);         /* getpid; x86-64's 20 is writev */
  for (int i = 0; i < 9; i++) old_call(33, 0, 0, 0, 0);          /* access(NULL): EFAULT; x86-64's is dup2 */
  for (int i = 0; i < 40; i++) old_call(192, 0, 4096, 1, 0x22);  /* mmap2 */
  for (int i = 0; i < 10; i++)
    if (old_call(2, 0, 0, 0, 0) == 0) old_call(1, 0, 0, 0, 0);   /* fork and exit */
  while (wait(NULL) > 0) {}
  tell_abi("getpid", "i386", 50, 0, 0, 50);
  tell_abi("access", "i386", 9, 9, 0, 9);
  tell_abi("mmap2", "i386", 40, -1, 0, 40);
  tell_abi("fork", "i386", 10, 0, 0, 10);
  tell_abi("exit", "i386", 10, 0, 0, 0);
  tell_abi("writev", "-", 0, 0, 0, 0);
  tell_abi("fork", "-", 0, 0, 0, 0);
  return 0;
}
