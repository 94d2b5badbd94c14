package rabbitmq

import (
	"errors"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/foreign"
)

// WithObserver passes the events of a [Consumer] to o: [entsignal.Handled],
// [entsignal.Interrupted] and [entsignal.Consuming]. It may be given several times. By
// default there is no observer. Observe is called concurrently, with the values of the
// context of [Consumer.Run], and must return quickly. A panic is logged and has no other
// effect. To act around the handler, use [WithMiddleware].
func WithObserver(o entsignal.Observer) ConsumerOption {
	return consumerOption(func(cfg *consumerConfig) error {
		if o == nil {
			return errors.New("rabbitmq: WithObserver: the observer is nil")
		}
		cfg.observers = append(cfg.observers, o)
		return nil
	})
}

// observe passes an event to the observers.
func (r *run) observe(e entsignal.Event) {
	for _, o := range r.cfg.observers {
		if err := foreign.Do(func() { o.Observe(r.values, e) }); err != nil {
			r.panicked.Do(func() { r.log.Error("rabbitmq: an observer has panicked; this is logged once", "error", err) })
		}
	}
}

// handled tells that a handler has returned.
func (r *run) handled(p *parcel, outcome entsignal.Outcome, err error) {
	r.observe(entsignal.Handled{
		Queue: p.Queue, Key: p.Key(), Type: p.Type, Deliveries: p.Deliveries, Took: p.took, Outcome: outcome, Err: err,
	})
}
