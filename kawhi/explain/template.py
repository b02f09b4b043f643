"""The page as a Jinja template; every value is escaped by the environment that renders it."""

PAGE = """\
{% macro headed(c) %}{% if c.marked and not averaged_all %}<b>{{ c.name }} ●<span
class="unseen"> critical</span></b>{% else %}{{ c.name }}{% endif %}{% endmacro %}
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="kawhi explain">
<title>{{ e.question }} – {{ e.title }}</title>
<link rel="icon" href="data:,">
<style>{{ css }}</style>
</head>
<body>
<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>
<image id="seen" href="{{ scene.image }}" width="{{ scene.w }}" height="{{ scene.h }}" preserveAspectRatio="none"/>
</defs></svg>
<header>
<p class="kicker">{{ e.title }}{% if scene.tokens %} · {{ e.scene.kept|length }} of {{ scene.tokens }} visual tokens
selected{% endif %}</p>
<h1 dir="auto"{% if e.question|length > 140 %} class="long"{% endif %}><span class="unseen">Question:
</span>{{ e.question }}</h1>
{% for note in e.notes %}<p class="note">{{ note }}</p>{% endfor %}
</header>
<main{% if not aligned %} class="plain"{% endif %}>
<div class="pictures{% if aligned %} two{% endif %}">
<section aria-labelledby="h-image">
<h2 id="h-image">{{ "The image and its regions" if scene.tokens else "The image" }}</h2>
<figure id="regions">
<svg viewBox="0 0 {{ scene.w }} {{ scene.h }}" role="img" aria-label="{{ scene.said }}">
<use href="#seen"/>
{% if scene.tokens %}<g class="overlay">
{% if scene.key %}<path class="key" d="{{ scene.key }}"/>{% endif %}
{% if scene.grid %}<path class="grid" d="{{ scene.grid }}"/>{% endif %}
<path class="border" d="{{ scene.borders }}"/>
{% if scene.dots %}<path class="dot" d="{{ scene.dots }}"/>{% endif %}
{% if scene.crosses %}<path class="cross" d="{{ scene.crosses }}"/>{% endif %}
</g>{% endif %}
</svg>
<figcaption>
{% if scene.tokens %}<ul class="legend">
{% if scene.key %}<li><svg width="16" height="12" aria-hidden="true"><rect width="16" height="12" fill="#0072B2"
fill-opacity=".2"/></svg>key region{% if not scene.crosses %}, kept{% endif %}</li>{% endif %}
{% if scene.dots %}<li><svg width="12" height="12" aria-hidden="true"><circle cx="6" cy="6" r="4.5" fill="#D55E00"/>
</svg>background, kept</li>{% endif %}
{% if scene.crosses %}<li><svg width="12" height="12" aria-hidden="true"><path d="M2 2l8 8M10 2l-8 8" stroke="#5F5F5F"
stroke-width="1.4"/></svg>key region, left out</li>{% endif %}
<li><svg width="16" height="12" aria-hidden="true"><path d="M0 6h16" stroke="#0072B2" stroke-width="2.5"/></svg>region
border</li>
</ul>
<label><input type="checkbox" checked data-toggles="regions"> Show the regions</label>{% endif %}
</figcaption>
</figure>
</section>
{% if aligned %}<section class="heatbox" aria-labelledby="h-heat">
<h2 id="h-heat">Where a {{ e.unit }} looks</h2>
<figure id="heat">
<svg viewBox="0 0 {{ scene.w }} {{ scene.h }}" role="img" aria-labelledby="readout" class="heated">
<use href="#seen" class="grey"/>
<image id="large-heat" class="heat overlay" href="{{ first.heat }}" width="{{ scene.w }}" height="{{ scene.h }}"
preserveAspectRatio="none"/>
</svg>
<figcaption>
<p class="readout" id="readout">{{ spoken(first) }}</p>
<div class="bar" style="background:linear-gradient(90deg,#0072B2,#FFFFFF,#D55E00)"></div>
<div class="ends"><span>{{ signed(-limit, 2) }}</span><span>cosine, mean over heads</span><span>{{ signed(limit, 2) }}
</span></div>
<label><input type="checkbox" checked data-toggles="heat"> Show the heat map</label>
</figcaption>
</figure>
</section>{% endif %}
</div>
<section class="answers" aria-labelledby="h-answer">
<h2 id="h-answer">{{ "The answer" if answers|length == 1 else "The answers" }}, shaded by weight</h2>
{% if aligned %}<p class="hint">Point at a {{ e.unit }}, or reach it with Tab and the arrow keys, to see where it looks;
click or press Enter to keep it.</p>{% endif %}
{% for answer in answers %}
<div class="answer">
<div class="head"><h3>{{ answer.name }}</h3><span class="numbers">{{ answer.outcome }}</span></div>
<ol>
{% for p in answer.paragraphs %}<li><div id="{{ p.id }}"
class="paragraph{% if aligned and p is sameas first %} shown{% endif %}" {% if aligned %}data-of="{{ p.id }}"
tabindex="0" role="button" aria-pressed="false" {% endif %}style="background:{{ p.shade }}">
<span class="no" aria-hidden="true">{{ p.number }}</span><span class="text" dir="auto">{{ p.text }}</span>
<span class="numbers"><b>{{ "%.2f"|format(p.weight) }}</b><span class="unseen"> weight</span>
{%- if p.alpha is not none %}<br>α {{ signed(p.alpha) }}{% endif %}</span>
{% if aligned %}<template>{{ spoken(p) }}</template>{% endif %}
</div></li>
{% endfor %}</ol>
{% for note in answer.notes %}<p class="note">{{ note }}</p>{% endfor %}
</div>
{% endfor %}
<div class="shades"><span>weight {{ "%.2f"|format(e.w_min) }}</span><div class="bar"
style="background:linear-gradient(90deg,#FFFFFF,#E69F00)"></div><span>{{ "%.2f"|format(w_max) }}</span></div>
</section>
</main>
{% if aligned %}{% for answer in answers %}{% set n = loop.index %}
<div class="pair">
<section aria-labelledby="h-maps-{{ n }}">
<h2 id="h-maps-{{ n }}">Every {{ e.unit }}, side by side</h2>
{% if answers|length > 1 %}<p class="kicker">{{ answer.name }}</p>{% endif %}
{% if n == 1 %}<p class="hint">One colour scale for all: blue below 0, vermilion above, full colour at
±{{ signed(limit, 2) }}.</p>{% endif %}
<div class="maps">
{% for p in answer.paragraphs %}<figure class="map{% if p is sameas first %} shown{% endif %}" data-of="{{ p.id }}">
<svg viewBox="0 0 {{ scene.w }} {{ scene.h }}" role="img" aria-label="Heat map of {{ e.unit }} {{ p.number }}"
class="heated"><use href="#seen" class="grey"/>
<image id="heat-{{ p.id }}" class="heat" href="{{ p.heat }}" width="{{ scene.w }}" height="{{ scene.h }}"
preserveAspectRatio="none"/></svg>
<figcaption><span class="values"><b>{{ p.number }}</b> α {{ signed(p.alpha) }} · w {{ "%.2f"|format(p.weight) }}</span>
<span class="text" dir="auto">{{ p.text }}</span></figcaption>
</figure>
{% endfor %}</div>
</section>
<section aria-labelledby="h-heads-{{ n }}">
<h2 id="h-heads-{{ n }}">Alpha of each head</h2>
{% if answers|length > 1 %}<p class="kicker">{{ answer.name }}</p>{% endif %}
<p class="hint">{% if averaged_all %}Alpha is the mean of all heads.{% else %}Alpha is the mean of the heads marked ●,
the critical ones.{% endif %} Full colour at ±{{ signed(answer.head_limit) }}.</p>
<div class="scroll" role="region" aria-labelledby="h-heads-{{ n }}" tabindex="0"><table class="heads">
<thead><tr><th scope="col">{{ answer.corner }}</th>{% for c in answer.across %}<th scope="col">{{ headed(c) }}</th>
{% endfor %}</tr></thead>
<tbody>{% for head, cells in answer.down %}<tr><th scope="row">{{ headed(head) }}</th>{% for cell in cells %}
<td data-of="{{ cell.of }}"{% if cell.colour %} style="background:{{ cell.colour }}"{% else %} class="sum"{% endif
%}>{{- signed(cell.value) }}</td>{% endfor %}</tr>
{% endfor %}</tbody>
</table></div>
</section>
</div>
<section class="control" aria-labelledby="h-controls-{{ n }}">
<h2 id="h-controls-{{ n }}">Does alpha depend on the image?</h2>
{% if answers|length > 1 %}<p class="kicker">{{ answer.name }}</p>{% endif %}
<div class="halves"><div>
{% if n == 1 %}<p class="hint">The same answer, read again beside other pixels. {{ faithful }}</p>{% endif %}
<p class="verdict">{{ answer.verdict }}</p>
{% if answer.caution %}<p class="hint">{{ answer.caution }}</p>{% endif %}
<div class="scroll" role="region" aria-labelledby="h-controls-{{ n }}" tabindex="0"><table class="conditions">
<thead><tr><th scope="col">the model sees</th><th scope="col">mean<br>alpha</th>
<th scope="col">rank cor-<br>relation</th><th scope="col">same<br>top</th><th scope="col">weight<br>shift</th>
<th scope="col">log-prob<br>per token</th></tr></thead>
<tbody>{% for c in answer.controls %}<tr><th scope="row">{{ c.name }}</th><td>{{ signed(c.comparison.alpha) }}</td>
<td>{{ "–" if c.comparison.order is none or loop.first else signed(c.comparison.order, 2) }}</td>
<td>{{ "–" if loop.first or c.comparison.order is none else ("yes" if c.comparison.same_top else "no") }}</td>
<td>{{ "–" if loop.first else "%.3f"|format(c.comparison.weight_shift) }}</td>
<td>{{ signed(c.comparison.log_prob, 2) }}</td></tr>
{% endfor %}</tbody></table></div>
<figure class="wrong"><img src="{{ wrong.uri }}" alt=""><figcaption>The wrong image is {{ wrong.said }}.</figcaption>
</figure>
</div><div>
<figure class="chart"><svg viewBox="0 0 {{ answer.chart.width }} {{ answer.chart.height }}" role="img"
aria-label="Alpha of each {{ e.unit }} under the four conditions; the numbers are in the table below">
{% for y, text in answer.chart.rows %}<path d="M{{ answer.chart.left }} {{ y }}H{{ answer.chart.right }}"
stroke="#E4E4E0"/>
<text x="{{ answer.chart.left - 7 }}" y="{{ y + 4 }}" text-anchor="end">{{ text }}</text>{% endfor %}
{% for x, text in answer.chart.columns %}<text x="{{ x }}" y="{{ answer.chart.bottom + 17 }}" text-anchor="middle">
{{- text }}</text>{% endfor %}
<text x="{{ answer.chart.left }}" y="{{ answer.chart.height - 2 }}">{{ e.unit }}</text>
{% for line in answer.chart.lines %}<path d="{{ line.path }}" fill="none" stroke="{{ line.colour }}" stroke-width="1.8"
stroke-dasharray="{{ line.dashes }}"/><path d="{{ line.marks }}" fill="{{ line.colour }}"/>{% endfor %}
</svg>
<ul class="legend">{% for line in answer.chart.lines|reverse %}<li><svg width="24" height="14" aria-hidden="true"><path
d="M0 7H24" stroke="{{ line.colour }}" stroke-width="1.8" stroke-dasharray="{{ line.dashes }}"/><path
d="{{ line.sign }}" fill="{{ line.colour }}"/></svg>{{ line.name }}</li>{% endfor %}</ul></figure>
<div class="scroll" role="region" aria-label="Alpha of each {{ e.unit }} under each condition" tabindex="0"><table>
<caption>Alpha of each {{ e.unit }}</caption>
<thead><tr><th scope="col">{{ e.unit }}</th>{% for c in answer.controls %}<th scope="col">{{ c.name }}</th>{% endfor %}
</tr></thead>
<tbody>{% for p in answer.paragraphs %}<tr><th scope="row">{{ p.number }}</th>{% for c in answer.controls %}<td>
{{- signed(c.alpha[p.number - 1]) }}</td>{% endfor %}</tr>
{% endfor %}</tbody></table></div>
</div></div>
</section>
{% endfor %}{% endif %}
<section><details open><summary>What made this page</summary>
<dl>{% for name, value in e.details.items() %}<dt>{{ name }}</dt><dd>{% if name == "command" %}<code>{{ value }}</code>
{%- else %}{{ value }}{% endif %}</dd>{% endfor %}</dl></details></section>
<script>{{ script }}</script>
</body>
</html>
"""
