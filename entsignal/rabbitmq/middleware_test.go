package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMiddlewareRunsAroundEachDelivery(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue, dead := a.withGraveyard("classic", nil)
	a.put(queue, "m")
	type key struct{}
	seen := make(chan string, 100)
	named := func(name string) func(Handler) Handler {
		return func(next Handler) Handler {
			return func(ctx context.Context, d Delivery) error {
				outer, _ := ctx.Value(key{}).(string)
				err := next(context.WithValue(ctx, key{}, outer+name), d)
				seen <- fmt.Sprintf("%s: %s of %s, %v", name, d.MessageID, d.Queue, err)
				return err
			}
		}
	}
	fatal := func(next Handler) Handler {
		return func(ctx context.Context, d Delivery) error {
			if d.Deliveries == 3 {
				panic("in the middleware")
			}
			if err := next(ctx, d); d.Deliveries < 4 {
				return err
			}
			return entsignal.Permanent(errors.New("given up"))
		}
	}
	c := consume(t, brokerURL(t), queue, func(ctx context.Context, d Delivery) error {
		seen <- fmt.Sprint("handler in ", ctx.Value(key{}))
		if d.Deliveries == 2 {
			panic("ouch")
		}
		return errors.New("no")
	}, WithMiddleware(named("a"), named("b")), WithMiddleware(fatal))
	both := func(err string) []string {
		return []string{"b: m of " + queue + ", " + err, "a: m of " + queue + ", " + err}
	}
	var want []string
	for _, part := range [][]string{
		{"handler in ab"}, both("no"),
		{"handler in ab"}, both("panic: ouch"),
		both("panic: in the middleware"),
		{"handler in ab"}, both("given up"),
	} {
		want = append(want, part...)
	}
	for _, w := range want {
		assert.Equal(t, w, next(t, seen))
	}
	a.awaitCount(dead, 1)
	require.NoError(t, c.stop())
	assert.Empty(t, seen)
}
