// Package v20170312 takes the place of a cloud provider's client library when
// flannel is built for the test mirror. flannel requires a version of that
// library that cannot be had everywhere, and the mirror's flannel only ever uses
// its vxlan and host-gw backends. So this declares the few names that flannel's
// `tencent-vpc` backend mentions, and every call answers with an error.
package v20170312

import "errors"

// errNotBuiltIn is what every call of this stand-in returns.
var errNotBuiltIn = errors.New("the tencent-vpc backend is left out of this build of flannel")

// Client would talk to the provider.
type Client struct{}

// Filter would select route tables.
type Filter struct {
	Name   *string
	Values []*string
}

// Route would be one entry of a route table.
type Route struct {
	RouteId              *uint64
	DestinationCidrBlock *string
	GatewayType          *string
	GatewayId            *string
	RouteType            *string
	Enabled              *bool
}

// RouteTable would be a route table.
type RouteTable struct {
	RouteTableId *string
	RouteSet     []*Route
}

// RouteTableList is the payload of an answer.
type RouteTableList struct {
	RouteTableSet []*RouteTable
}

// DescribeRouteTablesRequest asks for route tables.
type DescribeRouteTablesRequest struct {
	Filters []*Filter
}

// DescribeRouteTablesResponse would carry route tables.
type DescribeRouteTablesResponse struct {
	Response *RouteTableList
}

// RoutesRequest changes the routes of one table.
type RoutesRequest struct {
	RouteTableId *string
	Routes       []*Route
}

// NewClientWithSecretId always fails.
func NewClientWithSecretId(secretID, secretKey, region string) (*Client, error) {
	return nil, errNotBuiltIn
}

// NewDescribeRouteTablesRequest returns an empty request.
func NewDescribeRouteTablesRequest() *DescribeRouteTablesRequest {
	return new(DescribeRouteTablesRequest)
}

// NewCreateRoutesRequest returns an empty request.
func NewCreateRoutesRequest() *RoutesRequest { return new(RoutesRequest) }

// NewDeleteRoutesRequest returns an empty request.
func NewDeleteRoutesRequest() *RoutesRequest { return new(RoutesRequest) }

// DescribeRouteTables always fails.
func (*Client) DescribeRouteTables(*DescribeRouteTablesRequest) (*DescribeRouteTablesResponse, error) {
	return nil, errNotBuiltIn
}

// CreateRoutes always fails.
func (*Client) CreateRoutes(*RoutesRequest) (any, error) { return nil, errNotBuiltIn }

// DeleteRoutes always fails.
func (*Client) DeleteRoutes(*RoutesRequest) (any, error) { return nil, errNotBuiltIn }
