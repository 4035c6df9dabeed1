"""The laws of browseros_api, as tests."""
