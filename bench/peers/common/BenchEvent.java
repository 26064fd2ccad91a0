package floorwatch.bench;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;

/** What the reduced job needs of one event of the workload, read with Jackson's streaming parser. */
public final class BenchEvent {
  private static final JsonFactory FACTORY = new JsonFactory();

  public boolean label;
  public boolean audit;
  public boolean wrong;
  public String subject;
  public String labelId;
  public String queue;
  public String vendor;
  public long timeMs;
  public long startedMs;

  /** Reads an event; fields that the job has no use for are passed over. */
  public static BenchEvent parse(byte[] json) {
    BenchEvent event = new BenchEvent();
    try (JsonParser parser = FACTORY.createParser(json)) {
      parser.nextToken();
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String name = parser.currentName();
        parser.nextToken();
        switch (name) {
          case "type" -> {
            String type = parser.getText();
            event.label = type.equals("floorwatch.label.submitted.v1");
            event.audit = type.equals("floorwatch.audit.completed.v1");
          }
          case "time" -> event.timeMs = millis(parser.getText());
          case "subject" -> event.subject = parser.getText();
          case "data" -> event.readData(parser);
          default -> parser.skipChildren();
        }
      }
    } catch (IOException error) {
      throw new IllegalArgumentException("not an event of the workload", error);
    }
    return event;
  }

  private void readData(JsonParser parser) throws IOException {
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String name = parser.currentName();
      parser.nextToken();
      switch (name) {
        case "label_id" -> labelId = parser.getText();
        case "queue" -> queue = parser.getText();
        case "vendor" -> vendor = parser.getText();
        case "started_at" -> startedMs = millis(parser.getText());
        case "verdict" -> wrong = parser.getText().equals("incorrect");
        default -> parser.skipChildren();
      }
    }
  }

  /** Minute of the event, as a count since 1970. */
  public long minute() {
    return timeMs / 60_000;
  }

  /** Milliseconds since 1970 of {@code 2026-11-23T01:10:00[.mmm]Z}; ten times faster than Instant.parse. */
  static long millis(String text) {
    long year = digits(text, 0, 4);
    long month = digits(text, 5, 2);
    long day = digits(text, 8, 2);
    long shifted = month <= 2 ? year - 1 : year;
    long era = shifted / 400;
    long yearOfEra = shifted - era * 400;
    long dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    long days = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468;
    long seconds = ((days * 24 + digits(text, 11, 2)) * 60 + digits(text, 14, 2)) * 60 + digits(text, 17, 2);
    return seconds * 1000 + (text.charAt(19) == '.' ? digits(text, 20, 3) : 0);
  }

  private static long digits(String text, int from, int count) {
    long value = 0;
    for (int i = from; i < from + count; i++) {
      value = value * 10 + text.charAt(i) - '0';
    }
    return value;
  }
}
