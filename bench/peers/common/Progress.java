package floorwatch.bench;

import java.util.concurrent.atomic.AtomicBoolean;

/** Tells the harness, on standard output, when the first record is processed and when all is done. */
public final class Progress {
  private static final AtomicBoolean BEGUN = new AtomicBoolean();

  private Progress() {}

  /** Says so at the first record; free afterwards. */
  public static void first() {
    if (!BEGUN.get() && BEGUN.compareAndSet(false, true)) {
      System.out.println("FIRST " + System.currentTimeMillis());
      System.out.flush();
    }
  }

  /** Says that everything is processed and durable. */
  public static void done() {
    System.out.println("DONE " + System.currentTimeMillis());
    System.out.flush();
  }
}
