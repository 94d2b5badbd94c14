package main

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/bench/ent"
)

// once measures deliveries to a consumer with an inbox. The copies of a message come one
// after the other, so that several consumers have them at the same moment. The work is
// that of a plain commit: a business row and another one.
func once(ctx context.Context, j job, m *meter) error {
	drv, err := driver(j)
	if err != nil {
		return err
	}
	client := ent.NewClient(ent.Driver(drv))
	body := makeBody(j.Size)
	var next atomic.Int64
	err = commits(ctx, j, m, func(ctx context.Context) error {
		message := (int(next.Add(1)) - 1) / j.Copies
		key := entsignal.MessageKey{Source: appID, ID: "Event:" + strconv.Itoa(message)}
		_, err := client.Received.Once(ctx, key, func(ctx context.Context, tx *ent.Tx) error {
			order, err := tx.Order.Create().SetCustomer(customer).Save(ctx)
			if err != nil {
				return err
			}
			return tx.Event.Create().SetOrderID(order.ID).SetPayload(body).Exec(ctx)
		})
		return err
	})
	return errors.Join(err, client.Close())
}
