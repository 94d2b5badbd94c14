package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/sending"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// OrderPlaced is a signal as ent generates it.
type OrderPlaced struct {
	ID       int
	Customer string
}

func encodeOrder(queue string) func(*OrderPlaced) (Message, error) {
	return func(s *OrderPlaced) (Message, error) {
		if s.Customer == "" {
			return Message{}, entsignal.Permanent(errEncode)
		}
		return Message{
			RoutingKey:  queue,
			Body:        []byte(`{"customer":"` + s.Customer + `"}`),
			ContentType: "application/json",
			Type:        "order.placed",
			Headers:     map[string]any{"attempt": 1, "tags": []string{"a"}, "big": uint64(1) << 40},
			Expiration:  time.Minute + time.Microsecond,
			Timestamp:   time.Unix(1700000000, 123456789),
			Priority:    3,
		}, nil
	}
}

// unreachable returns a publisher whose broker isn't there.
func unreachable(t *testing.T, opts ...Option) *Publisher {
	return newPublisher(t, "amqp://127.0.0.1:1", append(opts, WithDialTimeout(time.Millisecond))...)
}

func TestEncodeReturnsWhatAConsumerGets(t *testing.T) {
	a := newAdmin(t)
	queue := a.queue(nil)
	p := newPublisher(t, brokerURL(t), WithAppID("shop"))
	send := Sender(p, encodeOrder(queue))
	msgs, err := Encode(t.Context(), send, &OrderPlaced{ID: 7, Customer: "Ada"})
	require.NoError(t, err)
	require.Len(t, msgs, 1)
	m := msgs[0]
	assert.Equal(t, "OrderPlaced:7", m.MessageID)
	assert.Empty(t, a.take(queue), "nothing has left")

	batch := entsignal.Batch{Signal: entsignal.Info{Name: "OrderPlaced"}, Items: []entsignal.Item{{ID: "7"}}}
	require.NoError(t, send(entsignal.NewBatchContext(t.Context(), batch), []*OrderPlaced{{ID: 7, Customer: "Ada"}}))
	got := a.take(queue)
	require.Len(t, got, 1)
	d := got[0]
	assert.Equal(t, d.MessageId, m.MessageID)
	assert.Equal(t, d.AppId, m.AppID)
	assert.Equal(t, d.Exchange, m.Exchange)
	assert.Equal(t, d.RoutingKey, m.RoutingKey)
	assert.Equal(t, d.ContentType, m.ContentType)
	assert.Equal(t, d.Type, m.Type)
	assert.Equal(t, d.Body, m.Body)
	assert.Equal(t, map[string]any(d.Headers), m.Headers)
	assert.Equal(t, d.Expiration, fmt.Sprint(m.Expiration.Milliseconds()))
	assert.True(t, d.Timestamp.Equal(m.Timestamp))
	assert.Equal(t, d.Priority, m.Priority)
	assert.Equal(t, amqp.Persistent, d.DeliveryMode)
	assert.False(t, m.Transient)
}

func TestEncodeNeedsNoBrokerAndReturnsTheErrorsOfTheSender(t *testing.T) {
	send := Sender(unreachable(t), encodeOrder("orders"))
	msgs, err := Encode(t.Context(), send, &OrderPlaced{ID: 1, Customer: "Ada"}, &OrderPlaced{ID: 2}, &OrderPlaced{ID: 3, Customer: "Cleo"})
	errs := failures(t, err, 3)
	require.ErrorIs(t, errs[1], errEncode)
	assert.True(t, entsignal.IsPermanent(errs[1]))
	require.Len(t, msgs, 2)
	assert.Equal(t, []string{"OrderPlaced:1", "OrderPlaced:3"}, []string{msgs[0].MessageID, msgs[1].MessageID})

	long := strings.Repeat("x", 256)
	_, err = Encode(t.Context(), Sender(unreachable(t), func(*OrderPlaced) (Message, error) { return Message{RoutingKey: long}, nil }), &OrderPlaced{ID: 1})
	require.ErrorContains(t, err, "RoutingKey: 256 bytes, at most 255 allowed")

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Encode(ended, send, &OrderPlaced{ID: 1, Customer: "Ada"})
	require.ErrorIs(t, err, context.Canceled)
}

func TestEncodeTakesTheBatchOfItsContext(t *testing.T) {
	send := Sender(unreachable(t), encodeOrder("orders"))
	c := entsignal.NewBatchContext(t.Context(), batchOf(entsignal.ModeFlushOrdered, "a", "b", "c"))
	msgs, err := Encode(c, send, &OrderPlaced{Customer: "Ada"}, &OrderPlaced{}, &OrderPlaced{Customer: "Cleo"})
	errs := failures(t, err, 3)
	require.ErrorIs(t, errs[2], errNotTried)
	require.Len(t, msgs, 1)
	assert.Equal(t, "OrderPlaced:a", msgs[0].MessageID)
}

func TestEncodeWorksThroughSendersAroundIt(t *testing.T) {
	p := unreachable(t)
	each := entsignal.Each(func(ctx context.Context, s *OrderPlaced) error {
		return p.Publish(ctx, Message{RoutingKey: s.Customer})
	})
	msgs, err := Encode(t.Context(), each, &OrderPlaced{Customer: "a"}, &OrderPlaced{Customer: "b"})
	require.NoError(t, err)
	require.Len(t, msgs, 2)
	assert.Equal(t, "b", msgs[1].RoutingKey)
}

func TestEncodeSaysThatASenderPublishedNothing(t *testing.T) {
	_, err := Encode(t.Context(), func(context.Context, []*OrderPlaced) error { return nil }, &OrderPlaced{})
	require.ErrorIs(t, err, errNothingPublished)
	_, err = Encode(t.Context(), nil, &OrderPlaced{})
	require.EqualError(t, err, "rabbitmq: Encode: the sender is nil")
	msgs, err := Encode(t.Context(), Sender(unreachable(t), encodeOrder("orders")))
	require.NoError(t, err)
	assert.Empty(t, msgs)
}

// badge is an id with a text of its own.
type badge [2]byte

func (b badge) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%x", b[:]), nil }

func TestEncodeKnowsIDsAsTheBusDoes(t *testing.T) {
	type BadgeGiven struct{ ID badge }
	type Anonymous struct{}
	msgs, err := Encode(t.Context(), Sender(unreachable(t), func(*BadgeGiven) (Message, error) { return Message{}, nil }), &BadgeGiven{badge{1, 255}})
	require.NoError(t, err)
	assert.Equal(t, "BadgeGiven:01ff", msgs[0].MessageID)
	msgs, err = Encode(t.Context(), Sender(unreachable(t), func(*Anonymous) (Message, error) { return Message{}, nil }), &Anonymous{})
	require.NoError(t, err)
	assert.Empty(t, msgs[0].MessageID)
}

func TestRecorderStandsForABroker(t *testing.T) {
	p, broker, err := NewRecorder(WithAppID("shop"))
	require.NoError(t, err)
	send := Sender(p, encodeOrder("orders"))
	published := 0
	c := sending.WithPublished(entsignal.NewBatchContext(t.Context(), batchOf(entsignal.ModeFlushMany, "1", "2")), func() { published++ })
	orders := []*OrderPlaced{{ID: 1, Customer: "Ada"}, {ID: 2, Customer: "Cleo"}}
	require.NoError(t, send(c, orders))
	msgs := broker.Messages()
	require.Len(t, msgs, 2)
	assert.Equal(t, "shop", msgs[0].AppID)
	assert.Equal(t, "OrderPlaced:2", msgs[1].MessageID)
	assert.Equal(t, 1, published)

	broker.Reset()
	refused := errors.New("refused")
	broker.Answer(func(m Message) error {
		if m.MessageID == "OrderPlaced:1" {
			return refused
		}
		return nil
	})
	errs := failures(t, send(c, orders), 2)
	require.ErrorIs(t, errs[0], refused)
	require.NoError(t, errs[1])
	assert.Len(t, broker.Messages(), 1)

	broker.Answer(func(Message) error { return entsignal.Unavailable(refused) })
	err = send(c, orders)
	assert.True(t, entsignal.IsUnavailable(err))
	require.ErrorIs(t, err, errNotTried)

	broker.Answer(nil)
	require.NoError(t, p.Close(t.Context()))
	require.ErrorIs(t, send(c, orders), ErrClosed)
	_, _, err = NewRecorder(WithConnections(0))
	require.ErrorContains(t, err, "WithConnections")
}
