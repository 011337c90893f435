// As reads.c, with a perf map that is written when all is compiled; then it says so and goes on when it is told to.
import java.io.FileInputStream;
import java.lang.management.ManagementFactory;
import javax.management.ObjectName;

public class Reads {
  static FileInputStream zero;
  static int often() throws Exception { return zero.read() + 1; }
  static int sometimes() throws Exception { return zero.read() + 2; }
  static int seldom() throws Exception { return zero.read() + 3; }
  static long turns(int count, boolean pause) throws Exception {
    long sum = 0;
    for (int turn = 0; turn < count; turn++) {
      for (int i = 0; i < 6; i++) sum += often();
      for (int i = 0; i < 3; i++) sum += sometimes();
      sum += seldom();
      if (pause && turn % 100 == 0) Thread.sleep(1);
    }
    return sum;
  }
  public static void main(String[] words) throws Exception {
    zero = new FileInputStream("/dev/zero");
    turns(20000, false);
    ManagementFactory.getPlatformMBeanServer().invoke(
        new ObjectName("com.sun.management:type=DiagnosticCommand"), "compilerPerfmap", new Object[0], new String[0]);
    System.out.println("ready");
    System.in.read();
    turns(Integer.parseInt(words[0]), true);
    Thread.sleep(1000);
  }
}
