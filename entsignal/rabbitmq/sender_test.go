package rabbitmq

import (
	"errors"
	"testing"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var errEncode = errors.New("cannot encode")

func batchOf(mode entsignal.Mode, ids ...string) entsignal.Batch {
	batch := entsignal.Batch{Signal: entsignal.Info{Name: "OrderPlaced"}, Mode: mode}
	for _, id := range ids {
		batch.Items = append(batch.Items, entsignal.Item{ID: id})
	}
	return batch
}

// encodeTo encodes to a message for queue, and fails for "bad".
func encodeTo(queue string) func(string) (Message, error) {
	return func(signal string) (Message, error) {
		if signal == "bad" {
			return Message{}, entsignal.Permanent(errEncode)
		}
		return Message{RoutingKey: queue, Body: []byte(signal)}, nil
	}
}

func TestSenderNamesMessagesBySignalAndRow(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.queue(nil)
	p := newPublisher(t, brokerURL(t))
	encode := func(id string) (Message, error) { return Message{RoutingKey: queue, MessageID: id}, nil }
	require.NoError(t, sendBatch(t.Context(), p, batchOf(entsignal.ModeFlush, "7", "8"), []string{"", "own"}, encode))
	require.NoError(t, Sender(p, encode)(t.Context(), []string{""}))
	assert.Equal(t, []string{"OrderPlaced:7", "own", ""}, a.takeIDs(queue))
}

func TestEncodeErrorFailsItsOwnRowOnly(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.queue(nil)
	p := newPublisher(t, brokerURL(t))
	err := sendBatch(t.Context(), p, batchOf(entsignal.ModeFlush, "1", "2", "3"), []string{"a", "bad", "c"}, encodeTo(queue))
	errs := failures(t, err, 3)
	assert.NoError(t, errs[0])
	assert.ErrorIs(t, errs[1], errEncode)
	assert.True(t, entsignal.IsPermanent(errs[1]))
	assert.ErrorContains(t, errs[1], `rabbitmq: message "OrderPlaced:2": encode: cannot encode`)
	assert.NoError(t, errs[2])
	assert.Equal(t, []string{"OrderPlaced:1", "OrderPlaced:3"}, a.takeIDs(queue))
}

func TestEncodeErrorEndsAnOrderedFlush(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.queue(nil)
	p := newPublisher(t, brokerURL(t))
	err := sendBatch(t.Context(), p, batchOf(entsignal.ModeFlushOrdered, "1", "2", "3"), []string{"a", "bad", "c"}, encodeTo(queue))
	errs := failures(t, err, 3)
	assert.NoError(t, errs[0])
	assert.ErrorIs(t, errs[1], errEncode)
	assert.ErrorIs(t, errs[2], errNotTried)
	assert.Equal(t, []string{"OrderPlaced:1"}, a.takeIDs(queue))
}
