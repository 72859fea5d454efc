top_prices: found too
source: prices
