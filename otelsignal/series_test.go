package otelsignal

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/otel/metric"

	"github.com/entsignal/signalbus/entsignal"
)

func TestOptionsOfASeriesAreRememberedUpToABound(t *testing.T) {
	var options seriesOptions
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range maxSeries + 10 {
				s := seriesOf(entsignal.Destination{System: "rabbitmq", Address: fmt.Sprint("mq", i)}, "OrderPlaced")
				assert.Equal(t, metric.WithAttributeSet(s.attributes()), options.option(s))
				assert.Equal(t, metric.WithAttributeSet(s.attributes()), options.option(s), "again")
			}
		})
	}
	all.Wait()
	assert.LessOrEqual(t, len(options.known), maxSeries)
	assert.NotEmpty(t, options.known)
}
