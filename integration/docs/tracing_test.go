package docs

import (
	"context"
	"database/sql"
	"fmt"
	"testing"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"github.com/entsignal/signalbus/entsignal/rabbitmq"
	"github.com/entsignal/signalbus/integration/docs/ent"
)

// produced is a topic that keeps what it gets.
type produced []map[string]string

func (p *produced) Produce(_ context.Context, _ string, headers map[string]string) error {
	*p = append(*p, headers)
	return nil
}

func TestSnippetsOfTracing(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:1") // nobody
	shutdown, err := exportTraces(t.Context())
	require.NoError(t, err)
	var messages produced
	bus, err := instrumented(ent.SignalSenders{
		OrderPlaced: func(context.Context, []*ent.OrderPlaced) error { return nil },
		ShipmentDue: sendElsewhere(&messages),
	})
	require.NoError(t, err)
	db, err := sql.Open("sqlite", "file:"+t.TempDir()+"/tracing.db?_pragma=foreign_keys(1)")
	require.NoError(t, err)
	client := ent.NewClient(ent.Driver(entsql.OpenDB(dialect.SQLite, db)), ent.WithSignalBus(bus))
	defer client.Close()
	require.NoError(t, client.Schema.Create(t.Context()))
	ctx, span := otel.Tracer("test").Start(t.Context(), "request")
	client.ShipmentDue.Create().SetCustomer("Ada").SetPriority(1).ExecX(ctx)
	span.End()
	_, err = bus.FlushMany(t.Context())
	require.NoError(t, err)
	sc := trace.SpanContextFromContext(ctx)
	assert.Equal(t, produced{{"traceparent": fmt.Sprintf("00-%s-%s-%s", sc.TraceID(), sc.SpanID(), sc.TraceFlags()), "tracestate": ""}}, messages)

	_, err = recording()
	require.NoError(t, err)
	_, err = consuming("amqp://localhost", "orders", func(context.Context, rabbitmq.Delivery) error { return nil })
	require.NoError(t, err)
	ended, cancel := context.WithCancel(t.Context())
	cancel() // the spans are lost
	_ = shutdown(ended)
}
