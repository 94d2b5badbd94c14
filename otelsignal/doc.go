// Package otelsignal makes a signal bus visible to OpenTelemetry: its metrics, and its
// traces across the outbox. One option of the bus switches it on:
//
//	bus, err := ent.NewSignalBus(senders, otelsignal.Instrument())
//
// It depends on OpenTelemetry's API only. The application brings the SDK and its
// exporters; without an SDK nothing is measured, and almost nothing is spent.
//
// # Traces
//
// A signal with mixin.Trace keeps the context of the span in which it was created. A
// sender puts that into the headers of the message, as rabbitmq.Sender does, so that
// the consumer continues the trace. These are the spans:
//
//   - "create <Signal>", kind PRODUCER, only with [WithCreateSpans]: the creation of one
//     signal. Without it the current span takes its place.
//   - "wait <Signal>", kind INTERNAL, a child of the span that created the signal, if that
//     is sampled: from the creation until it is sent, in whichever process that is. It
//     links to the span that sends it.
//   - "publish <exchange>", or "send <Signal>" if the sender doesn't say where to, kind
//     CLIENT: one call of a sender. It links to the creating span of each signal, if
//     that is sampled, and of at most 128 of them.
//   - "process <queue>", kind CONSUMER: the handling of one message, by a [Receiver]. It is
//     a child of the span that created the signal, and links to it. For RabbitMQ see
//     package otelrabbitmq.
//
// Their attributes are those of the semantic conventions for messaging (version 1.44),
// and entsignal.signal and entsignal.mode.
//
// # Metrics
//
// Those of the bus have the attribute signal, and some of them mode or error.type:
//
//	entsignal.recorded        counter    signals that were committed
//	entsignal.sent            counter    messages that were confirmed, their rows deleted; mode
//	entsignal.failed          counter    signals that were not sent in an attempt; error.type
//	entsignal.lag             histogram  s, from the recording to the deletion of the oldest signal of a batch; mode
//	entsignal.send.duration   histogram  s, of a batch from its claim to its commit; mode
//	entsignal.flush.duration  histogram  s, of a flush of one type; mode
//	entsignal.paused          gauge      1 while broker or database are unavailable
//	entsignal.pending         gauge      rows in the table, up to 10,001
//	entsignal.dead            gauge      those that are dead, up to 10,001
//	entsignal.pending.age     gauge      s, of the oldest that isn't dead; see entsignal.Oldest
//
// The counters start at 0, so that the first failure is an increase: recorded for each
// signal, sent for each mode of it, and failed for each error.type. The last three gauges
// are read from the database at each collection, within 2 seconds; what can't be read then
// is left out. See [WithoutGauges].
// Where the sender says what it sends to, and for a [Receiver], there are those of the
// conventions too: messaging.client.sent.messages, messaging.client.operation.duration,
// messaging.client.consumed.messages and messaging.process.duration.
//
// The values of all attributes are bounded: the signals and queues of the application, the
// modes of a bus, and for error.type unavailable, timeout, canceled, permanent, panic,
// not_tried and refused.
package otelsignal
