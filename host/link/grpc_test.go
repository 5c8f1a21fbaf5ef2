package link

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"countersign/vaultsign/identity"
)

// What a signed call between two nodes is measured against: a unary gRPC call over mutual TLS 1.3 with the same
// certificates, as it is, and with what one would add to it to have both directions signed.

const (
	grpcMethod = "/bench.Function/Call"
	// Names of metadata.
	signedAt, signature = "signed-bin", "signature-bin" // created and nonce; Ed25519
)

// parties are the two ends of a benchmark.
type parties struct {
	trust          *identity.Bundle
	caller, callee *identity.Identity
	answer         func([]byte) []byte
}

// grpc starts a server and returns a function that makes one call.
func (p *parties) grpc(tb testing.TB, server []grpc.ServerOption, client []grpc.DialOption) func([]byte) []byte {
	config := func(self, peer *identity.Identity) *tls.Config {
		c := identity.TLSConfig(func() *identity.Bundle { return p.trust }, identity.Only(peer.ID()))
		c.ClientAuth, c.Certificates = tls.RequireAnyClientCert, []tls.Certificate{*self.TLSCertificate()}
		c.ServerName = "callee"
		return c
	}
	s := grpc.NewServer(append(server, grpc.Creds(credentials.NewTLS(config(p.callee, p.caller))))...)
	s.RegisterService(&grpc.ServiceDesc{ServiceName: "bench.Function", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Call", Handler: p.handle}}}, new(any))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(tb, err)
	go s.Serve(l)
	tb.Cleanup(s.Stop)
	conn, err := grpc.NewClient(l.Addr().String(), append(client, grpc.WithTransportCredentials(credentials.NewTLS(config(p.caller, p.callee))))...)
	must(tb, err)
	tb.Cleanup(func() { conn.Close() })
	return func(body []byte) []byte {
		var out wrapperspb.BytesValue
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := conn.Invoke(ctx, grpcMethod, &wrapperspb.BytesValue{Value: body}, &out); err != nil {
			tb.Error(err)
		}
		return out.Value
	}
}

func (p *parties) handle(_ any, ctx context.Context, dec func(any) error, through grpc.UnaryServerInterceptor) (any, error) {
	in := new(wrapperspb.BytesValue)
	if err := dec(in); err != nil {
		return nil, err
	}
	run := func(_ context.Context, in any) (any, error) {
		return &wrapperspb.BytesValue{Value: p.answer(in.(*wrapperspb.BytesValue).Value)}, nil
	}
	if through == nil {
		return run(ctx, in)
	}
	return through(ctx, in, &grpc.UnaryServerInfo{FullMethod: grpcMethod}, run)
}

// unsigned is gRPC as it is.
func (p *parties) unsigned(tb testing.TB) func([]byte) []byte { return p.grpc(tb, nil, nil) }

// signed is gRPC with a signature of each request (method, time, nonce, digest) and of each response (digest, signature
// of its request), both verified.
func (p *parties) signed(tb testing.TB) func([]byte) []byte {
	return p.grpc(tb, []grpc.ServerOption{grpc.UnaryInterceptor(p.verifyRequest)},
		[]grpc.DialOption{grpc.WithUnaryInterceptor(p.signRequest)})
}

func requestBase(method string, at, body []byte) []byte {
	sum := sha256.Sum256(body)
	return append(append([]byte(method), at...), sum[:]...)
}

func responseBase(request string, body []byte) []byte {
	sum := sha256.Sum256(body)
	return append([]byte(request), sum[:]...)
}

var errSignature = errors.New("a signature does not verify")

func (p *parties) signRequest(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn,
	invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	at := binary.BigEndian.AppendUint64(nil, uint64(time.Now().Unix()))
	at = append(at, make([]byte, 16)...)
	rand.Read(at[8:])
	own := string(p.caller.Key.Sign(requestBase(method, at, req.(*wrapperspb.BytesValue).Value)))
	ctx = metadata.AppendToOutgoingContext(ctx, signedAt, string(at), signature, own)
	var trailer metadata.MD
	if err := invoke(ctx, method, req, reply, conn, append(opts, grpc.Trailer(&trailer))...); err != nil {
		return err
	}
	got := trailer.Get(signature)
	base := responseBase(own, reply.(*wrapperspb.BytesValue).Value)
	if len(got) != 1 || !ed25519.Verify(p.callee.Certificate.PublicKey(), base, []byte(got[0])) {
		return errSignature
	}
	return nil
}

func (p *parties) verifyRequest(ctx context.Context, req any, info *grpc.UnaryServerInfo, run grpc.UnaryHandler) (any, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	at, sig := md.Get(signedAt), md.Get(signature)
	if len(at) != 1 || len(sig) != 1 || len(at[0]) != 24 {
		return nil, errSignature
	}
	base := requestBase(info.FullMethod, []byte(at[0]), req.(*wrapperspb.BytesValue).Value)
	age := time.Now().Unix() - int64(binary.BigEndian.Uint64([]byte(at[0])))
	if age < -10 || age > 60 || !ed25519.Verify(p.caller.Certificate.PublicKey(), base, []byte(sig[0])) {
		return nil, errSignature
	}
	reply, err := run(ctx, req)
	if err != nil {
		return nil, err
	}
	own := p.callee.Key.Sign(responseBase(sig[0], reply.(*wrapperspb.BytesValue).Value))
	return reply, grpc.SetTrailer(ctx, metadata.Pairs(signature, string(own)))
}
