package tracing_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/rabbitmq"
)

func TestMessagesCarryTheStoredTraceUnchanged(t *testing.T) {
	t.Parallel()
	pub, err := rabbitmq.NewPublisher("amqp://localhost")
	require.NoError(t, err)
	defer pub.Close(context.Background())
	own := map[string]any{"kind": "a"}
	headers := []map[string]any{nil, own, {"traceparent": "mine"}, {"tracestate": "mine=1"}, nil}
	batch := entsignal.Batch{Signal: entsignal.Info{Name: "OrderPlaced"}, Mode: entsignal.ModeFlush}
	for n := range headers {
		batch.Items = append(batch.Items, entsignal.Item{ID: "1", Trace: traceOf(n + 1)})
	}
	batch.Items[0].Trace.Tracestate = ""
	batch.Items[4].Trace = entsignal.TraceContext{}
	msgs, err := rabbitmq.Encode(entsignal.NewBatchContext(t.Context(), batch),
		rabbitmq.Sender(pub, func(n int) (rabbitmq.Message, error) { return rabbitmq.Message{Headers: headers[n]}, nil }), 0, 1, 2, 3, 4)
	require.NoError(t, err)
	var got []map[string]any
	for _, m := range msgs {
		got = append(got, m.Headers)
	}
	assert.Equal(t, []map[string]any{
		{"traceparent": traceOf(1).Traceparent},
		{"traceparent": traceOf(2).Traceparent, "tracestate": traceOf(2).Tracestate, "kind": "a"},
		{"traceparent": "mine"},
		{"traceparent": traceOf(4).Traceparent, "tracestate": "mine=1"},
		nil,
	}, got)
	assert.Equal(t, map[string]any{"kind": "a"}, own, "the map of the application")
}
