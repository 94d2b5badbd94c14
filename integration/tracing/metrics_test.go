package tracing_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/otelsignal"
)

// collect returns the metrics of OrderPlaced by name and attributes: sums, counts of
// histograms and values of gauges, without those that are 0. Ages are whole hours.
func collect(t *testing.T, reader sdkmetric.Reader) map[string]float64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &all))
	found := make(map[string]float64)
	add := func(name string, set attribute.Set, value float64) {
		if signal, _ := set.Value("signal"); signal.AsString() != "OrderPlaced" || value == 0 {
			return
		}
		rest, _ := set.Filter(func(kv attribute.KeyValue) bool { return kv.Key != "signal" })
		found[name+"{"+rest.Encoded(attribute.DefaultEncoder())+"}"] = value
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, float64(p.Value))
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, float64(p.Count))
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, float64(p.Value))
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, time.Duration(p.Value*float64(time.Second)).Round(time.Hour).Hours())
				}
			default:
				t.Fatalf("%s: %T", m.Name, data)
			}
		}
	}
	return found
}

func TestMetricsTellTheHistoryOfABus(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		reader := sdkmetric.NewManualReader()
		s := open(t, db, otelsignal.Instrument(otelsignal.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))))
		fail := func(err error) {
			if s.refuse.Store(nil); err != nil {
				s.refuse.Store(&err)
			}
		}
		assert.Empty(t, collect(t, reader))
		create := func(n int) int {
			return s.OrderPlaced.Create().SetNumber(n).SetSignalRecordedAt(time.Now().Add(-3 * time.Hour)).SaveX(t.Context()).ID
		}
		for n := range 3 { // 3 sent
			create(n)
		}
		fail(errors.New("refused"))
		refused := create(3) // 1 refused
		fail(entsignal.Unavailable(errors.New("away")))
		create(4) // an outage
		assert.Equal(t, map[string]float64{
			"entsignal.recorded{}":                     5,
			"entsignal.sent{mode=autoflush}":           3,
			"entsignal.failed{error.type=refused}":     1,
			"entsignal.failed{error.type=unavailable}": 1,
			"entsignal.send.duration{mode=autoflush}":  3,
			"entsignal.lag{mode=autoflush}":            3,
			"entsignal.paused{}":                       1,
			"entsignal.pending{}":                      2,
			"entsignal.pending.age{}":                  3,
		}, collect(t, reader))

		fail(nil)
		_, err := s.bus.FlushMany(t.Context())
		require.NoError(t, err) // the refused one waits for its next attempt
		_, err = s.bus.Retry(t.Context(), "OrderPlaced", strconv.Itoa(refused))
		require.NoError(t, err)
		fail(entsignal.Permanent(errors.New("bad")))
		_, err = s.bus.FlushMany(t.Context()) // 1 dead
		require.Error(t, err)
		want := map[string]float64{
			"entsignal.recorded{}":                     5,
			"entsignal.sent{mode=autoflush}":           3,
			"entsignal.sent{mode=flushmany}":           1,
			"entsignal.failed{error.type=refused}":     1,
			"entsignal.failed{error.type=unavailable}": 1,
			"entsignal.failed{error.type=permanent}":   1,
			"entsignal.send.duration{mode=autoflush}":  3,
			"entsignal.send.duration{mode=flushmany}":  1,
			"entsignal.flush.duration{mode=flushmany}": 2,
			"entsignal.lag{mode=autoflush}":            3,
			"entsignal.lag{mode=flushmany}":            1,
			"entsignal.pending{}":                      1,
			"entsignal.dead{}":                         1,
		}
		assert.Equal(t, want, collect(t, reader))

		_, err = s.bus.Discard(t.Context(), "OrderPlaced", strconv.Itoa(refused))
		require.NoError(t, err)
		delete(want, "entsignal.pending{}")
		delete(want, "entsignal.dead{}")
		assert.Equal(t, want, collect(t, reader))
		require.NoError(t, s.bus.Close(context.Background()))
	})
}

// A periodic reader exports nothing at all after a collection that failed.
func TestMetricsAreCollectedWhileTheDatabaseIsNot(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL}, func(t *testing.T, db *testdb.DB) {
		reader := sdkmetric.NewManualReader()
		s := open(t, db, otelsignal.Instrument(otelsignal.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))))
		s.bus.SetAutoFlush(false)
		s.OrderPlaced.Create().SetNumber(1).ExecX(t.Context())
		assert.Contains(t, collect(t, reader), "entsignal.pending{}")
		tx, err := db.Open(t).BeginTx(t.Context(), nil)
		require.NoError(t, err)
		_, err = tx.ExecContext(t.Context(), "LOCK TABLE order_placeds")
		require.NoError(t, err)
		assert.Equal(t, map[string]float64{"entsignal.recorded{}": 1}, collect(t, reader), "what can't be read is left out, and holds nothing up")
		require.NoError(t, tx.Rollback())
		assert.Contains(t, collect(t, reader), "entsignal.pending{}")
	})
}
