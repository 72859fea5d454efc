prices: below apps
source: apps.prices
