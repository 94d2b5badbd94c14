package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	_ "github.com/go-sql-driver/mysql"
	_ "modernc.org/sqlite"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/pqconn"
	"github.com/entsignal/signalbus/entsignal/rabbitmq"
	"github.com/entsignal/signalbus/integration/bench/ent"
)

// application is a program that uses the library as its documentation says.
type application struct {
	*ent.Client
	bus *entsignal.Bus
	pub *rabbitmq.Publisher // nil without a broker
}

// open returns the application of a job, which sends to the job's queue.
func open(j job, connections int, opts ...entsignal.BusOption) (*application, error) {
	pub, err := rabbitmq.NewPublisher(j.AMQP, rabbitmq.WithAppID(appID), rabbitmq.WithConnections(connections))
	if err != nil {
		return nil, err
	}
	return openWith(j, pub, ent.SignalSenders{
		Event: rabbitmq.Sender(pub, func(e *ent.Event) (rabbitmq.Message, error) {
			return rabbitmq.Message{RoutingKey: j.Queue, ContentType: contentType, Body: e.Payload}, nil
		}),
		Traced: rabbitmq.Sender(pub, func(e *ent.Traced) (rabbitmq.Message, error) {
			return rabbitmq.Message{RoutingKey: j.Queue, ContentType: contentType, Body: e.Payload}, nil
		}),
	}, opts...)
}

// openWith returns the application of a job with other senders, for the signals that it
// sends.
func openWith(j job, pub *rabbitmq.Publisher, send ent.SignalSenders, opts ...entsignal.BusOption) (*application, error) {
	bus, err := ent.NewSignalBus(send, append(opts, entsignal.WithMissingSenders())...)
	if err != nil {
		return nil, err
	}
	drv, err := driver(j)
	if err != nil {
		return nil, err
	}
	return &application{Client: ent.NewClient(ent.Driver(drv), ent.WithSignalBus(bus)), bus: bus, pub: pub}, nil
}

// driver connects to the job's database.
func driver(j job) (*entsql.Driver, error) {
	db, err := pool(j)
	if err != nil {
		return nil, err
	}
	return entsql.OpenDB(j.Database, db), nil
}

// pool connects to the job's database as docs/databases.md tells.
func pool(j job) (db *sql.DB, err error) {
	switch j.Database {
	case dialect.Postgres:
		var opts []pqconn.Option
		if !j.Unprepared {
			opts = append(opts, pqconn.WithStatementCache(100))
		}
		db, err = pqconn.Open(j.DSN, opts...)
	case dialect.MySQL:
		db, err = sql.Open("mysql", j.DSN)
	case dialect.SQLite:
		db, err = sql.Open("sqlite", j.DSN)
	default:
		err = fmt.Errorf("unknown database %q", j.Database)
	}
	if err != nil {
		return nil, err
	}
	db.SetMaxIdleConns(2 * j.Parallel)
	return db, nil
}

func (a *application) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	err := a.bus.Close(ctx)
	if a.pub != nil {
		err = errors.Join(err, a.pub.Close(ctx))
	}
	return errors.Join(err, a.Client.Close())
}
