package main

import (
	"encoding/json"
	"fmt"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/rabbitmq"
	"github.com/entsignal/signalbus/examples/pair/ent"
)

// The types of the messages, and their bodies: the contract between the banks. The bank
// that sends is the AppId of the message.
const (
	typeSent     = "money.sent"
	typeAnswered = "money.answered"
)

type moneySent struct {
	Transfer int `json:"transfer"` // its id at the bank that sends
	Account  int `json:"account"`
	Cents    int `json:"cents"`
}

type moneyAnswered struct {
	Transfer int  `json:"transfer"`
	Booked   bool `json:"booked"`
}

func encodeSent(s *ent.MoneySent) (rabbitmq.Message, error) {
	return encode(s.ToBank, typeSent, moneySent{s.Transfer, s.ToAccount, s.Cents})
}

func encodeAnswered(a *ent.MoneyAnswered) (rabbitmq.Message, error) {
	return encode(a.ToBank, typeAnswered, moneyAnswered{a.Transfer, a.Booked})
}

func encode(to, kind string, body any) (rabbitmq.Message, error) {
	text, err := json.Marshal(body)
	return rabbitmq.Message{Exchange: exchange(), RoutingKey: to, Type: kind, ContentType: "application/json", Body: text}, err
}

// decode reads a body. One that can't be read is no better when it comes again.
func decode[T any](d rabbitmq.Delivery) (body T, err error) {
	if err := json.Unmarshal(d.Body, &body); err != nil {
		return body, entsignal.Permanent(fmt.Errorf("the body of a %s: %w", d.Type, err))
	}
	return body, nil
}
