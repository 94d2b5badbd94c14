package docs

import (
	"context"
	"errors"
	"testing"

	entsql "entgo.io/ent/dialect/sql"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/integration/docs/ent"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

// answers are what a consumer tells the broker.
type answers []string

func (a *answers) Ack(_ uint64, multiple bool) error {
	*a = append(*a, map[bool]string{false: "ack", true: "ack all"}[multiple])
	return nil
}

func (a *answers) Nack(_ uint64, multiple, requeue bool) error {
	*a = append(*a, map[bool]string{false: "nack", true: "nack all"}[multiple]+map[bool]string{false: "", true: " again"}[requeue])
	return nil
}

func (a *answers) Reject(uint64, bool) error { return nil }

func TestConsumerWithAnInboxHandlesEachMessageOnce(t *testing.T) {
	db := database(t, testdb.PostgreSQL)
	client := ent.NewClient(ent.Driver(entsql.OpenDB(db.Dialect, db.Open(t))))
	var told answers
	delivery := func(id string) amqp.Delivery {
		return amqp.Delivery{Acknowledger: &told, AppId: "shop", MessageId: id}
	}
	failing := errors.New("failing")
	apply := func(ctx context.Context, tx *ent.Tx, d amqp.Delivery) error {
		tx.Order.Create().SetCustomer(d.MessageId).ExecX(ctx)
		return failing
	}
	require.NoError(t, receive(ctx(t), client, delivery("OrderPlaced:1"), apply))
	failing = nil
	for range 2 {
		require.NoError(t, receive(ctx(t), client, delivery("OrderPlaced:1"), apply))
	}
	require.NoError(t, receive(ctx(t), client, delivery(""), apply))
	assert.Equal(t, answers{"nack again", "ack", "ack", "nack"}, told)
	assert.Equal(t, 1, client.Order.Query().CountX(ctx(t)))

	told = nil
	batch := []amqp.Delivery{delivery("OrderPlaced:1"), delivery("OrderPlaced:2"), delivery("OrderPlaced:3")}
	failing = errors.New("failing")
	require.NoError(t, receiveBatch(ctx(t), client, batch, apply))
	failing = nil
	require.NoError(t, receiveBatch(ctx(t), client, batch, apply))
	assert.Equal(t, answers{"nack all again", "ack all"}, told)
	assert.Equal(t, 3, client.Order.Query().CountX(ctx(t)))
}
