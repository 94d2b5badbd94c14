package otelsignal

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/telemetry"
)

const (
	// atMost is how far signals are counted.
	atMost = 10001
	// tableTime is how long a collection may wait for the database. All metrics of the
	// process wait with it.
	tableTime = 2 * time.Second
)

// metrics counts the events of one bus. It is an [entsignal.Observer].
type metrics struct {
	recorded, sent, failed metric.Int64Counter
	lag, send, flush       metric.Float64Histogram

	signals map[string]*signalMetrics // by name; not changed after newMetrics
	begun   sync.Once
}

// signalMetrics is what the metrics have of one signal type: the attributes, which are
// made only once.
type signalMetrics struct {
	signal metric.MeasurementOption
	mode   map[entsignal.Mode]metric.MeasurementOption
	failed map[telemetry.ErrorType]metric.MeasurementOption
	paused atomic.Bool
}

func newMetrics(meter metric.Meter, infos []entsignal.Info) *metrics {
	m := &metrics{signals: make(map[string]*signalMetrics, len(infos))}
	for _, info := range infos {
		signal := keySignal.String(info.Name)
		s := &signalMetrics{
			signal: metric.WithAttributeSet(attribute.NewSet(signal)),
			mode:   make(map[entsignal.Mode]metric.MeasurementOption),
			failed: make(map[telemetry.ErrorType]metric.MeasurementOption),
		}
		for _, mode := range modes {
			s.mode[mode] = metric.WithAttributeSet(attribute.NewSet(signal, keyMode.String(mode.String())))
		}
		for _, t := range telemetry.ErrorTypes() {
			s.failed[t] = metric.WithAttributeSet(attribute.NewSet(signal, keyErrorType.String(string(t))))
		}
		m.signals[info.Name] = s
	}
	var errs [6]error
	counter := func(name, description string) (c metric.Int64Counter, err error) {
		return meter.Int64Counter(name, metric.WithUnit("{signal}"), metric.WithDescription(description))
	}
	histogram := func(name, description string, buckets []time.Duration) (metric.Float64Histogram, error) {
		return meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(description), metric.WithExplicitBucketBoundaries(seconds(buckets)...))
	}
	m.recorded, errs[0] = counter("entsignal.recorded", "Signals that this process has created and committed.")
	m.sent, errs[1] = counter("entsignal.sent", "Signals whose messages were confirmed and whose rows were deleted.")
	m.failed, errs[2] = counter("entsignal.failed", "Signals that were not sent in an attempt.")
	m.lag, errs[3] = histogram("entsignal.lag", "Time from the recording of the oldest signal of a batch to its deletion.", telemetry.LongBuckets())
	m.send, errs[4] = histogram("entsignal.send.duration", "Time from the claim of a batch to the end of its transaction.", telemetry.SendBuckets())
	m.flush, errs[5] = histogram("entsignal.flush.duration", "Time of a flush of one signal type.", telemetry.LongBuckets())
	handle(errs[:]...)
	return m
}

// begin counts 0 of everything, so that the first failure is an increase. It is for the
// first collection: a global provider that is set later has dropped what was counted
// before.
func (m *metrics) begin(ctx context.Context) {
	for _, s := range m.signals {
		m.recorded.Add(ctx, 0, s.signal)
		for _, mode := range s.mode {
			m.sent.Add(ctx, 0, mode)
		}
		for _, failed := range s.failed {
			m.failed.Add(ctx, 0, failed)
		}
	}
}

func seconds(buckets []time.Duration) []float64 {
	all := make([]float64, len(buckets))
	for i, b := range buckets {
		all[i] = b.Seconds()
	}
	return all
}

// Observe implements [entsignal.Observer].
func (m *metrics) Observe(ctx context.Context, event entsignal.Event) {
	switch e := event.(type) {
	case entsignal.Recorded:
		if s := m.signals[e.Signal]; s != nil {
			m.recorded.Add(ctx, int64(e.Count), s.signal)
		}
	case entsignal.Sent:
		if s := m.signals[e.Signal]; s != nil && s.mode[e.Mode] != nil {
			m.sent.Add(ctx, int64(e.Count), s.mode[e.Mode])
			m.send.Record(ctx, e.Took.Seconds(), s.mode[e.Mode])
			if e.Lag > 0 {
				m.lag.Record(ctx, e.Lag.Seconds(), s.mode[e.Mode])
			}
		}
	case entsignal.Failed:
		if s := m.signals[e.Signal]; s != nil {
			telemetry.EachFailure(e, func(t telemetry.ErrorType, n int) { m.failed.Add(ctx, int64(n), s.failed[t]) })
		}
	case entsignal.Flushed:
		if s := m.signals[e.Signal]; s != nil && s.mode[e.Mode] != nil {
			m.flush.Record(ctx, e.Took.Seconds(), s.mode[e.Mode])
		}
	case entsignal.Paused:
		if s := m.signals[e.Signal]; s != nil {
			s.paused.Store(true)
		}
	case entsignal.Resumed:
		if s := m.signals[e.Signal]; s != nil {
			s.paused.Store(false)
		}
	}
}

// gauges are read when metrics are collected.
type gauges struct {
	paused, pending, dead metric.Int64ObservableGauge
	age                   metric.Float64ObservableGauge
}

// watch registers the gauges, until the bus is gone.
func (m *metrics) watch(meter metric.Meter, bus *entsignal.Bus, all bool) error {
	var (
		g    gauges
		errs [4]error
	)
	g.paused, errs[0] = meter.Int64ObservableGauge("entsignal.paused",
		metric.WithDescription("1 while the broker or the database is unavailable for a signal type."))
	instruments := []metric.Observable{g.paused}
	if all {
		g.pending, errs[1] = meter.Int64ObservableGauge("entsignal.pending", metric.WithUnit("{signal}"),
			metric.WithDescription("Pending signals, counted up to 10,001."))
		g.dead, errs[2] = meter.Int64ObservableGauge("entsignal.dead", metric.WithUnit("{signal}"),
			metric.WithDescription("Dead signals, counted up to 10,001."))
		g.age, errs[3] = meter.Float64ObservableGauge("entsignal.pending.age", metric.WithUnit("s"),
			metric.WithDescription("Age of the oldest pending signal: exact with mixin.Trace, otherwise since it was first seen."))
		instruments = append(instruments, g.pending, g.dead, g.age)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	ref := weak.Make(bus) // the provider may outlive it
	registered, err := meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		m.begun.Do(func() { m.begin(ctx) })
		bus := ref.Value()
		if bus == nil {
			return nil
		}
		m.observePaused(o, g)
		if all {
			handle(m.observeTable(ctx, o, g, bus))
		}
		return nil // after an error a reader exports nothing, also not what others measure
	}, instruments...)
	if err != nil {
		return err
	}
	runtime.AddCleanup(bus, func(r metric.Registration) { handle(r.Unregister()) }, registered)
	return nil
}

func (m *metrics) observePaused(o metric.Observer, g gauges) {
	for _, s := range m.signals {
		paused := int64(0)
		if s.paused.Load() {
			paused = 1
		}
		o.ObserveInt64(g.paused, paused, s.signal)
	}
}

// observeTable reads the table. What can't be read isn't reported.
func (m *metrics) observeTable(ctx context.Context, o metric.Observer, g gauges, bus *entsignal.Bus) error {
	ctx, cancel := context.WithTimeout(ctx, tableTime)
	defer cancel()
	counts, err := bus.Pending(ctx, entsignal.AtMost(atMost))
	for _, n := range counts {
		if s := m.signals[n.Name]; s != nil {
			o.ObserveInt64(g.pending, int64(n.Count), s.signal)
			o.ObserveInt64(g.dead, int64(n.Dead), s.signal)
		}
	}
	if errors.Is(err, entsignal.ErrUnbound) {
		return nil
	}
	oldest, oldestErr := bus.Oldest(ctx)
	now := time.Now()
	for _, old := range oldest {
		if s := m.signals[old.Signal]; s != nil {
			o.ObserveFloat64(g.age, old.Age(now).Seconds(), s.signal)
		}
	}
	return errors.Join(err, oldestErr)
}
