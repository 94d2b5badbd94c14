package rabbitmq

import (
	"fmt"
	"testing"
)

// BenchmarkPublish sends batches of 500 persistent messages of 200 bytes to an
// exchange without a queue: what the publisher and the network cost, without
// the broker's disk.
func BenchmarkPublish(b *testing.B) {
	const size = 500
	p := newPublisher(b, brokerURL(b))
	msgs := make([]Message, size)
	for i := range msgs {
		msgs[i] = Message{
			Exchange: "amq.fanout", AllowUnroutable: true, MessageID: fmt.Sprint("OrderPlaced:", i),
			ContentType: "application/json", Body: make([]byte, 200),
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Publish(b.Context(), msgs...); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*size/b.Elapsed().Seconds(), "msg/s")
}
