"""The API that the notebooks talk to: orders by the page, prices that come and go, and a stock."""

from __future__ import annotations

import random

from browseros_api.testing import ApiServer, Received, Reply

__all__ = ["PAGES", "Shop"]

PAGES, _PER_PAGE = 40, 25
_COUNTRIES = ("AT", "DE", "FR", "IT", "PL")


class Shop:
    """A server on this machine, which lives as long as the process."""

    def __init__(self) -> None:
        self._server = ApiServer().start()
        self._seen: set[str] = set()
        self._is_up = True
        self._server.route("/orders", _orders)
        self._server.route("/prices/*", self._price)
        self._server.route("/stock", self._stock)

    @property
    def url(self) -> str:
        """Where it is."""
        return self._server.base_url

    @property
    def requests(self) -> int:
        """How many it has answered."""
        return self._server.hits()

    def fall(self) -> None:
        """From now on nobody knows what is in stock."""
        self._is_up = False

    def recover(self) -> None:
        """Somebody knows again."""
        self._is_up = True

    def _price(self, request: Received) -> Reply:
        """Every fifth fails at first, every twentieth hangs up at first, and none is beyond 99."""
        number, is_news = int(request.path.rpartition("/")[2]), request.path not in self._seen
        self._seen.add(request.path)
        if number > 99:
            return Reply(404, json={"error": "no such price"})
        if is_news and number % 20 == 3:
            return Reply(reset="before")
        if is_news and number % 5 == 0:
            return Reply(503, delay=0.01)
        return Reply(json={"id": number, "price": 5 + number % 13}, delay=0.01 + number % 4 / 100)

    def _stock(self, _: Received) -> Reply:
        return Reply(json={"lamps": 7}) if self._is_up else Reply(503, delay=0.005)


def _orders(request: Received) -> Reply:
    page = int(request.query.get("page", ["1"])[0])
    chance = random.Random(page)
    first = _PER_PAGE * (page - 1)
    orders = [
        {
            "id": first + number,
            "country": chance.choice(_COUNTRIES),
            "total": round(chance.uniform(5, 500), 2),
        }
        for number in range(_PER_PAGE)
    ]
    links = {"Link": f'</orders?page={page + 1}>; rel="next"'} if page < PAGES else {}
    return Reply(json={"page": page, "orders": orders}, headers=links, delay=0.03)
