package otelsignal

import (
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/telemetry"
)

// maxSeries is how many series are remembered. There are a few for each signal type,
// unless a sender names another server each time.
const maxSeries = 1000

// series identifies one series of the metrics of the conventions.
type series struct {
	system, address string
	port            int
	operation       string
	signal          string
	failure         telemetry.ErrorType // empty: none
}

// seriesOf returns the series of a signal type's batches to a destination, without a
// failure.
func seriesOf(to entsignal.Destination, signal string) series {
	return series{system: to.System, address: to.Address, port: to.Port, operation: to.Operation, signal: signal}
}

// attributes makes the attributes of the series.
func (s series) attributes() attribute.Set {
	all := append(brokerAttributes(s.system, s.address, s.port),
		keyOperation.String(s.operation), keyOperationType.String("send"), keySpanSignal.String(s.signal))
	if s.failure != "" {
		all = append(all, keyErrorType.String(string(s.failure)))
	}
	return attribute.NewSet(all...)
}

// seriesOptions remembers the options that name a series, because a set of attributes
// costs more than the measurement that it is for. The zero value is ready for use.
type seriesOptions struct {
	mu    sync.RWMutex
	known map[series]metric.MeasurementOption
}

func (o *seriesOptions) option(s series) metric.MeasurementOption {
	o.mu.RLock()
	option, ok := o.known[s]
	o.mu.RUnlock()
	if ok {
		return option
	}
	option = metric.WithAttributeSet(s.attributes())
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.known == nil || len(o.known) >= maxSeries {
		o.known = make(map[series]metric.MeasurementOption)
	}
	o.known[s] = option
	return option
}
