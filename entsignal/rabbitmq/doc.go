// Package rabbitmq publishes messages to RabbitMQ and says for each whether
// the broker has stored it. It is what the sender of a signal uses:
//
//	pub, err := rabbitmq.NewPublisher(os.Getenv("AMQP_URL"), rabbitmq.WithAppID("shop"))
//	if err != nil {
//		return err
//	}
//	defer pub.Close(context.Background())
//
//	send := rabbitmq.Sender(pub, func(s *ent.OrderPlaced) (rabbitmq.Message, error) {
//		body, err := json.Marshal(placed{s.OrderID, s.Customer}) // json.Marshal(s) leaves out zero values
//		return rabbitmq.Message{Exchange: "orders", RoutingKey: "placed", Body: body}, err
//	})
//
// # What counts as sent
//
// A message is sent when the broker confirmed that very message and didn't
// return it as unroutable. Anything else is an error of that message, and the
// others aren't affected: a message that the broker would refuse with an error
// on the channel or the connection is found before it is published, or
// isolated afterwards.
//
// A confirm proves that the broker took the message over: each queue that it
// was routed to has it, on disk if queue and message are durable. It doesn't
// prove that a consumer will see it. A queue with a length limit drops its
// oldest messages unless it is declared with x-overflow=reject-publish.
//
// # What may be repeated
//
// An error whose text says "may have been stored" hides a message that is
// possibly in the queue: its confirm was lost with the connection, or came too
// late. Sending it again repeats it. Consumers tell repeats by the pair of
// application (AppID) and message id (MessageID).
//
// # How an error is classified
//
//   - [entsignal.IsPermanent]: the message itself is at fault, such as an
//     over-long routing key. Nothing was published. Sending it again can't help.
//   - [entsignal.IsUnavailable]: the broker can't be reached, has blocked the
//     connection or didn't answer in time. Trying other messages is of no use now.
//   - the end of the caller's context, found by [errors.Is].
//   - anything else concerns the message and its route, such as a missing
//     exchange, an unroutable message or a refusal by a full queue. It may
//     work later.
//
// # Topology
//
// The package declares no exchange, queue or binding. The broker's user needs
// no configure and no read permission, only write on the exchanges.
//
// # Timeouts
//
// Every wait is bounded by an option, also when the caller's context has no
// deadline, and by the context where it ends earlier. One exception: a write
// that is stuck in a full socket ends with [WithWriteTimeout] and not with the
// context.
package rabbitmq
