"""zeep: SOAP over a session that it is given."""

from __future__ import annotations

import pytest
import zeep
from zeep.exceptions import Fault
from zeep.transports import Transport

from browseros_api import Session
from browseros_api.testing import ApiServer, Received, Reply

WSDL = """<?xml version="1.0"?>
<definitions name="Sums" targetNamespace="urn:sums" xmlns:tns="urn:sums"
    xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/"
    xmlns:xsd="http://www.w3.org/2001/XMLSchema">
  <message name="Add">
    <part name="a" type="xsd:int"/>
    <part name="b" type="xsd:int"/>
  </message>
  <message name="Sum"><part name="sum" type="xsd:int"/></message>
  <portType name="Port">
    <operation name="Add"><input message="tns:Add"/><output message="tns:Sum"/></operation>
  </portType>
  <binding name="Binding" type="tns:Port">
    <soap:binding style="rpc" transport="http://schemas.xmlsoap.org/soap/http"/>
    <operation name="Add">
      <soap:operation soapAction="urn:sums#Add"/>
      <input><soap:body use="literal" namespace="urn:sums"/></input>
      <output><soap:body use="literal" namespace="urn:sums"/></output>
    </operation>
  </binding>
  <service name="Service">
    <port name="Port" binding="tns:Binding"><soap:address location="BASE/sums"/></port>
  </service>
</definitions>"""
ENVELOPE = """<?xml version="1.0"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{}</s:Body></s:Envelope>"""


def added(request: Received) -> Reply:
    assert b"<a>2</a><b>3</b>" in request.body
    assert request.headers["SOAPAction"] == '"urn:sums#Add"'
    answer = '<m:AddResponse xmlns:m="urn:sums"><sum>5</sum></m:AddResponse>'
    return Reply(body=ENVELOPE.format(answer), content_type="text/xml")


@pytest.fixture
def client(session: Session, api_server: ApiServer) -> zeep.Client:
    described = Reply(body=WSDL.replace("BASE", api_server.base_url), content_type="text/xml")
    api_server.script("/sums.wsdl", Reply(503), described)
    return zeep.Client(api_server.url("/sums.wsdl"), transport=Transport(session=session))


def test_a_description_is_loaded_and_an_operation_called(
    client: zeep.Client, session: Session, api_server: ApiServer
) -> None:
    api_server.route("/sums", added, method="POST")
    assert client.service.Add(a=2, b=3) == 5
    assert session.get_stats()["retries"] == 1


def test_a_fault_is_one_and_is_not_asked_again(client: zeep.Client, api_server: ApiServer) -> None:
    fault = "<s:Fault><faultcode>s:Server</faultcode><faultstring>no</faultstring></s:Fault>"
    api_server.route(
        "/sums", Reply(500, body=ENVELOPE.format(fault), content_type="text/xml"), method="POST"
    )
    with pytest.raises(Fault, match="no"):
        client.service.Add(a=2, b=3)
    assert api_server.hits("/sums") == 1
